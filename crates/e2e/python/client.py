"""A client made of nothing but grpcio and the stubs generated from proto/.

    client.py HOST:PORT FILE

It uploads the file in a stream, closes the channel in the middle, asks for the durable offset, resumes there, and
watches the job to its end. It exits with 0 only if everything was as the contract says.
"""

import sys
import threading
import uuid
from pathlib import Path

import grpc

from reelway.v1 import progress_service_pb2, progress_service_pb2_grpc
from reelway.v1 import resources_pb2, upload_service_pb2, upload_service_pb2_grpc

CHUNK_BYTES = 256 << 10
CALL_SECONDS_MAX = 120


def chunks(upload_id, data, start):
    """The messages of a write stream that begins at an offset. Every fourth asks for an answer."""
    offset = start
    while True:
        piece = data[offset : offset + CHUNK_BYTES]
        finish = offset + len(piece) == len(data)
        flush = (offset - start) // CHUNK_BYTES % 4 == 3
        chunk = upload_service_pb2.UploadChunk(
            upload_id=upload_id, offset=offset, data=piece, flush=flush, finish=finish
        )
        yield upload_service_pb2.StreamUploadRequest(chunk=chunk)
        if finish:
            return
        offset += len(piece)


def create(target, path, data):
    with grpc.insecure_channel(target) as channel:
        uploads = upload_service_pb2_grpc.UploadServiceStub(channel)
        request = upload_service_pb2.CreateUploadRequest(
            size_bytes=len(data), file_name=path.name, request_id=str(uuid.uuid4()), preset="fast"
        )
        first = uploads.CreateUpload(request, timeout=CALL_SECONDS_MAX).upload
        again = uploads.CreateUpload(request, timeout=CALL_SECONDS_MAX).upload
        assert first.id == again.id, "the same request id is the same upload"
        return first


def send_and_cut(target, upload_id, data):
    """Sends until a part is acknowledged, then closes the channel under the stream. Gives the acknowledged offset."""
    channel = grpc.insecure_channel(target)
    cut = threading.Event()
    messages = held_back(chunks(upload_id, data, 0), len(data) // 2, cut)
    answers = upload_service_pb2_grpc.UploadServiceStub(channel).StreamUpload(messages, timeout=CALL_SECONDS_MAX)
    acked = 0
    try:
        for answer in answers:
            acked = answer.durable_offset
            if acked >= len(data) // 4:
                channel.close()
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.CANCELLED, error
    finally:
        cut.set()
    assert 0 < acked < len(data), f"acknowledged {acked}, then cut"
    return acked


def held_back(messages, limit, cut):
    """The messages below an offset; then the stream stays open until somebody cuts it."""
    for message in messages:
        if message.chunk.offset >= limit:
            break
        yield message
    cut.wait()


def resume(target, upload_id, data, acked):
    with grpc.insecure_channel(target) as channel:
        uploads = upload_service_pb2_grpc.UploadServiceStub(channel)
        request = upload_service_pb2.GetUploadRequest(upload_id=upload_id)
        offset = uploads.GetUpload(request, timeout=CALL_SECONDS_MAX).upload.durable_offset
        assert acked <= offset < len(data), f"{acked} was acknowledged, the server has {offset}"
        print("resumed", offset)
        last = None
        for answer in uploads.StreamUpload(chunks(upload_id, data, offset), timeout=CALL_SECONDS_MAX):
            last = answer
        assert last.durable_offset == len(data)
        assert last.upload.state == resources_pb2.UPLOAD_STATE_COMPLETE, last


def watch(target, job_id):
    """Follows the job to its last event. The numbers have no gaps. Gives the last state and the playback URL."""
    with grpc.insecure_channel(target) as channel:
        progress = progress_service_pb2_grpc.ProgressServiceStub(channel)
        request = progress_service_pb2.WatchProgressRequest(job_id=job_id)
        seq, state, url = None, None, ""
        for message in progress.WatchProgress(request, timeout=CALL_SECONDS_MAX):
            kind = message.WhichOneof("message")
            if kind == "snapshot" and seq is None:
                job = message.snapshot.entries[0].job
                seq, state, url = job.event_seq, job.state, job.playback_url
            elif kind == "event":
                event = message.event
                assert event.seq == seq + 1, f"event {event.seq} after {seq}"
                seq = event.seq
                if event.WhichOneof("change") == "job_state":
                    state = event.job_state.state
                elif event.WhichOneof("change") == "playable":
                    url = event.playable.playback_url
        return resources_pb2.JobState.Name(state), url


def main():
    target, path = sys.argv[1], Path(sys.argv[2])
    data = path.read_bytes()
    upload = create(target, path, data)
    acked = send_and_cut(target, upload.id, data)
    print("cut", acked, "of", len(data))
    resume(target, upload.id, data, acked)
    state, url = watch(target, upload.job_id)
    assert state == "JOB_STATE_SUCCEEDED", state
    print("succeeded", url)


if __name__ == "__main__":
    main()
