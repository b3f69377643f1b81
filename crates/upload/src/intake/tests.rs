use super::*;

fn intake(size: Option<i64>, next: i64) -> (Intake, UploadId) {
    let upload = UploadId::new();
    (Intake::new(upload, size, Offset(next)), upload)
}

fn chunk(offset: i64, data: &'static [u8]) -> UploadChunk {
    UploadChunk {
        offset,
        data: Bytes::from_static(data),
        ..Default::default()
    }
}

fn piece(offset: i64, data: &'static [u8], then: Then) -> Result<Option<Piece>, Failure> {
    let (offset, data) = (Offset(offset), Bytes::from_static(data));
    Ok(Some(Piece {
        offset,
        data: data.into(),
        then,
    }))
}

#[test]
fn what_is_there_is_skipped() {
    let (mut intake, upload) = intake(None, 4);
    assert_eq!(intake.accept(chunk(0, b"abcd")), Ok(None), "wholly below");
    assert_eq!(
        intake.accept(chunk(0, b"ab")),
        Ok(None),
        "wholly below, with a gap to the offset"
    );
    assert_eq!(intake.accept(chunk(2, b"cdef")), piece(4, b"ef", Then::GoOn));
    let same = UploadChunk {
        upload_id: upload.to_string(),
        ..chunk(6, b"g")
    };
    assert_eq!(intake.accept(same), piece(6, b"g", Then::GoOn));
}

#[test]
fn flags_without_bytes() {
    let (mut intake, _) = intake(None, 4);
    assert_eq!(intake.accept(chunk(4, b"")), Ok(None), "keeps the stream alive");
    let with = |offset, flush, finish| UploadChunk {
        flush,
        finish,
        ..chunk(offset, b"")
    };
    assert_eq!(intake.accept(with(4, true, false)), piece(4, b"", Then::Flush));
    assert_eq!(
        intake.accept(with(4, true, true)),
        piece(4, b"", Then::Finish(Offset(4)))
    );
    assert_eq!(
        intake.accept(with(0, false, true)),
        piece(4, b"", Then::Finish(Offset(4))),
        "names no place"
    );
    assert_eq!(
        intake.accept(with(3, false, true)),
        piece(4, b"", Then::Finish(Offset(3))),
        "the writer refuses it"
    );
}

#[test]
fn the_last_byte_ends_a_file_of_known_length() {
    let (mut intake, _) = intake(Some(6), 4);
    assert_eq!(intake.whole(), None);
    assert_eq!(intake.accept(chunk(4, b"ef")), piece(4, b"ef", Then::Finish(Offset(6))));
    assert_eq!(Ok(intake.whole()), piece(6, b"", Then::Finish(Offset(6))));
}

/// Whoever takes a stream back that may be wrong can do so up to the last message.
#[test]
fn nothing_of_an_atomic_stream_ends_the_file_unasked() {
    let (plain, _) = intake(Some(6), 4);
    let mut intake = plain.atomic(true);
    assert_eq!(intake.accept(chunk(4, b"ef")), piece(4, b"ef", Then::GoOn));
    assert_eq!(intake.whole(), None);
    let flush = UploadChunk {
        flush: true,
        ..chunk(6, b"")
    };
    assert_eq!(intake.accept(flush), piece(6, b"", Then::Finish(Offset(6))));
    let (plain, _) = self::intake(Some(6), 6);
    assert!(plain.atomic(true).whole().is_some(), "what counted before");
}

#[test]
fn what_is_for_the_first_message_comes_in_the_first() {
    let (mut plain, _) = intake(Some(6), 4);
    let late = UploadChunk {
        atomic: true,
        size_bytes: Some(7),
        ..chunk(4, b"e")
    };
    assert_eq!(plain.accept(late).unwrap_err().violations.len(), 2);
    let same = UploadChunk {
        size_bytes: Some(6),
        ..chunk(4, b"e")
    };
    assert_eq!(plain.accept(same), piece(4, b"e", Then::GoOn));
}

#[test]
fn what_can_not_be_right_is_refused() {
    let large = UploadChunk {
        data: vec![0; limits::CHUNK_BYTES_MAX + 1].into(),
        ..Default::default()
    };
    let corrupt = UploadChunk {
        crc32c: Some(crc32c::crc32c(b"ef") ^ 1),
        ..chunk(4, b"ef")
    };
    let elsewhere = UploadChunk {
        upload_id: UploadId::new().to_string(),
        ..chunk(-1, b"")
    };
    let cases = [
        (chunk(5, b"f"), Reason::OffsetMismatch),
        (chunk(5, b""), Reason::OffsetMismatch),
        (chunk(4, b"efg"), Reason::SizeExceeded),
        (chunk(i64::MAX, b"f"), Reason::SizeExceeded),
        (large, Reason::ChunkTooLarge),
        (corrupt, Reason::ChunkChecksumMismatch),
        (elsewhere.clone(), Reason::FieldInvalid),
    ];
    for (chunk, reason) in cases {
        let (mut intake, _) = intake(Some(6), 4);
        assert_eq!(intake.accept(chunk).unwrap_err().reason, reason);
        assert_eq!(intake.next, Offset(4), "nothing of it counts");
    }
    let (mut intake, _) = intake(None, 4);
    assert_eq!(intake.accept(elsewhere).unwrap_err().violations.len(), 2);
    let beyond = chunk(limits::UPLOAD_BYTES_MAX, b"x");
    assert_eq!(intake.accept(beyond).unwrap_err().reason, Reason::SizeExceeded);
}

#[test]
fn a_right_checksum_passes() {
    let (mut intake, _) = intake(None, 0);
    let checked = UploadChunk {
        crc32c: Some(crc32c::crc32c(b"ab")),
        ..chunk(0, b"ab")
    };
    assert_eq!(intake.accept(checked), piece(0, b"ab", Then::GoOn));
}
