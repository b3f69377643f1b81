use std::time::Duration;

use super::*;
use crate::testbench::{Bench, reason};

const H264: &str = "-c:v libx264 -preset ultrafast";

#[tokio::test]
async fn a_usual_clip_is_described() {
    let bench = Bench::new().await;
    let clip = bench.clip("30000/1001", 2.0, &format!("{H264} -c:a aac -ac 2"), "clip.mp4");
    let probe = bench.probe(&clip).await.unwrap();
    let info = probe.source_info();
    assert_eq!((info.video_codec.as_str(), info.width, info.height), ("h264", 320, 180));
    assert_eq!((info.audio_codec.as_str(), info.audio_channels), ("aac", 2));
    assert!((info.frame_rate - 29.97).abs() < 0.01, "{}", info.frame_rate);
    assert!((1900..2100).contains(&info.duration_ms), "{}", info.duration_ms);
    assert!(probe.is_in(&["mp4"]));
}

#[tokio::test]
async fn what_is_no_media_is_refused_in_words() {
    let bench = Bench::new().await;
    let text = bench.file(
        "text.mp4",
        b"Dear diary, today I uploaded the wrong file again.\n"
            .repeat(100)
            .as_slice(),
    );
    let zip = bench.file("zip.mp4", &[&b"PK\x03\x04\x14\0\0\0\x08\0"[..], &[7; 5000]].concat());
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1])
        .collect();
    let noise = bench.file("noise.mp4", &noise);
    let picture = bench.ffmpeg("-f lavfi -i testsrc2=s=320x180 -frames:v 1", "picture.png");
    let photo = bench.ffmpeg("-f lavfi -i testsrc2=s=320x180 -frames:v 1", "photo.jpg");
    for file in [text, zip, noise, picture, photo] {
        assert_eq!(
            reason(bench.probe(&file).await),
            Reason::SourceNotMedia,
            "{}",
            file.display()
        );
    }
    let empty = bench.file("empty.mp4", b"");
    assert_eq!(reason(bench.probe(&empty).await), Reason::SourceEmpty);
}

#[tokio::test]
async fn playlists_do_not_open_what_they_name() {
    let bench = Bench::new().await;
    let secret = bench.clip("10", 1.0, H264, "secret.ts");
    let playlist = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        secret.display()
    );
    let playlist = bench.file("playlist.mp4", playlist.as_bytes());
    let concat = bench.file("concat.mp4", b"ffconcat version 1.0\nfile secret.ts\n");
    for file in [playlist, concat] {
        assert_eq!(
            reason(bench.probe(&file).await),
            Reason::SourceNotMedia,
            "{}",
            file.display()
        );
    }
}

#[tokio::test]
async fn files_that_were_cut_short_are_refused() {
    let bench = Bench::new().await;
    for (name, options) in [
        ("end.mp4", ""),
        ("start.mp4", "-movflags +faststart"),
        ("fragments.mp4", "-movflags +frag_keyframe"),
        ("a.mkv", ""),
    ] {
        let whole = bench.clip("30", 2.0, &format!("{H264} -g 15 -c:a aac {options}"), name);
        let bytes = std::fs::read(&whole).unwrap();
        let cut = bench.file(&format!("cut_{name}"), &bytes[..bytes.len() * 2 / 3]);
        bench.probe(&whole).await.unwrap();
        assert_eq!(reason(bench.probe(&cut).await), Reason::SourceTruncated, "{name}");
    }
}

/// Those who upload bought files get one reason, whatever the container: what ffmpeg would decode of them is noise.
#[tokio::test]
async fn encrypted_files_are_refused() {
    let bench = Bench::new().await;
    let key = "-encryption_scheme cenc-aes-ctr -encryption_key 00112233445566778899aabbccddeeff -encryption_kid \
               00112233445566778899aabbccddeeff";
    let mp4 = bench.clip("10", 2.0, &format!("{H264} {key}"), "bought.mp4");
    let header = [0x1A, 0x45, 0xDF, 0xA3, 0x80, 0x18, 0x53, 0x80, 0x67, 0xFF];
    let matroska = [&header[..], &encrypted::matroska::tests::tracks(1, 5)].concat();
    let matroska = bench.file("bought.mkv", &matroska);
    let clear = bench.clip("10", 2.0, &format!("{H264} -c:a aac"), "clear.ts");
    let mut bytes = std::fs::read(&clear).unwrap();
    for packet in bytes.chunks_mut(188) {
        // The ids that ffmpeg gives to pictures and sound.
        if packet[1] & 0x1F == 1 {
            packet[3] |= 0x80;
        }
    }
    let transport = bench.file("scrambled.ts", &bytes);
    for file in [mp4, matroska, transport] {
        for beginning in [false, true] {
            let scratch = bench.scratch();
            let work = bench.workspace(&file, &scratch);
            let probed = if beginning {
                probe_beginning(&work).await
            } else {
                probe(&work).await
            };
            let error = probed.unwrap_err();
            let failure = error.failure().unwrap();
            assert_eq!(failure.reason, Reason::SourceCodecUnsupported, "{}", file.display());
            assert!(failure.message.contains("encrypted"), "{}", failure.message);
        }
    }
    bench.probe(&clear).await.unwrap();
    let webm = bench.clip("10", 1.0, "-c:v libvpx -c:a libopus", "clear.webm");
    bench.probe(&webm).await.unwrap();
}

#[tokio::test]
async fn codecs_that_are_not_decoded_here_are_named() {
    let bench = Bench::new().await;
    let magicyuv = bench.clip("10", 0.5, "-c:v magicyuv", "magic.mkv");
    let error = bench.probe(&magicyuv).await.unwrap_err();
    let failure = error.failure().unwrap();
    assert_eq!(failure.reason, Reason::SourceCodecUnsupported);
    assert!(failure.message.contains("magicyuv"), "{}", failure.message);
}

#[tokio::test]
async fn a_container_without_picture_and_sound_is_refused() {
    let bench = Bench::new().await;
    bench.file("words.srt", b"1\n00:00:00,000 --> 00:00:02,000\nNobody speaks.\n");
    let subtitles = bench.ffmpeg("-i words.srt -c:s srt", "subtitles.mkv");
    assert_eq!(reason(bench.probe(&subtitles).await), Reason::SourceNoStreams);
}

#[tokio::test]
async fn cover_art_is_no_video() {
    let bench = Bench::new().await;
    bench.ffmpeg("-f lavfi -i testsrc2=s=64x64 -frames:v 1", "cover.jpg");
    bench.ffmpeg("-f lavfi -i sine=d=1 -c:a aac", "sound.m4a");
    let song = bench.ffmpeg(
        "-i sound.m4a -i cover.jpg -map 0 -map 1 -c copy -disposition:v:0 attached_pic",
        "song.m4a",
    );
    let probe = bench.probe(&song).await.unwrap();
    assert_eq!((probe.video, probe.audios[0].codec.as_str()), (None, "aac"));
}

#[tokio::test]
async fn limits_are_kept() {
    let limits = Limits {
        pixels_max: 320 * 180 - 1,
        duration_max: Duration::from_secs(3),
        streams_max: 2,
        ..Limits::default()
    };
    let bench = Bench::with(limits).await;
    let large = bench.clip("10", 1.0, H264, "large.mp4");
    let long = bench.ffmpeg("-f lavfi -i sine=d=5 -c:a aac", "long.m4a");
    let many = bench.ffmpeg("-f lavfi -i sine=d=1 -map 0 -map 0 -map 0 -c:a aac", "many.m4a");
    for file in [large, long, many] {
        assert_eq!(
            reason(bench.probe(&file).await),
            Reason::SourceLimitExceeded,
            "{}",
            file.display()
        );
    }
}

#[tokio::test]
async fn tracks_are_refused_instead_of_lost() {
    let bench = Bench::with(Limits {
        audio_tracks_max: 2,
        subtitle_tracks_max: 1,
        ..Limits::default()
    })
    .await;
    bench.file("words.srt", b"1\n00:00:00,000 --> 00:00:02,000\nNobody speaks.\n");
    let file = |sounds: usize, texts: usize| {
        let maps = format!("{} {}", "-map 0 ".repeat(sounds), "-map 1 ".repeat(texts));
        let words = format!("-f lavfi -i sine=d=1 -i words.srt {maps} -c:a aac -c:s srt");
        bench.ffmpeg(&words, &format!("{sounds}-{texts}.mkv"))
    };
    let taken = bench.probe(&file(2, 1)).await.unwrap();
    assert_eq!((taken.audios.len(), taken.subtitles.len()), (2, 1));
    for (sounds, texts, sentence, option) in [
        (
            3,
            0,
            "The source has 3 audio tracks; at most 2 are taken.",
            "source-audio-tracks-max",
        ),
        (
            1,
            2,
            "The source has 2 subtitle tracks; at most 1 are taken.",
            "source-subtitle-tracks-max",
        ),
    ] {
        let error = bench.probe(&file(sounds, texts)).await.unwrap_err();
        let failure = error.failure().unwrap();
        assert_eq!(failure.reason, Reason::SourceLimitExceeded);
        assert_eq!(failure.message, sentence);
        assert_eq!(failure.metadata["setting"], option);
    }
}

#[tokio::test]
async fn pictures_are_turned_as_the_container_says() {
    let bench = Bench::new().await;
    bench.clip("10", 1.0, H264, "lying.mp4");
    let turned = bench.ffmpeg("-i lying.mp4 -c copy -metadata:s:v rotate=90", "turned.mp4");
    let video = bench.probe(&turned).await.unwrap().video.unwrap();
    assert_eq!((video.width, video.height), (180, 320));
}
