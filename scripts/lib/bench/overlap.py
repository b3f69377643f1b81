"""A file sent as fast as it plays and faster: when it can be played, and when it is done, with and without encoding beside the upload."""

import http.client
import json
import os
import shutil
import struct
import subprocess
import time

from common import Node, say
from pipeline import by_hand, clip_height, make_clip, seconds_of

# A player's first segment, in seconds: what must have arrived before anything can be played.
SEGMENT_S = 4
BLOCK_BYTES = 64 << 10
# How the file is laid out and sent: name, index in front, tail sent first, encoding beside the upload.
WAYS = (
    ("index in front", True, False, True),
    ("index at the end, sent first", False, True, True),
    ("index at the end", False, False, True),
    ("index in front, without overlap", True, False, False),
)
# Those that are encoded beside the upload.
EARLY_WAYS = WAYS[:2]


def measure(tools, work, smoke):
    seconds = 8 if smoke else int(os.environ.get("REELWAY_BENCH_CLIP_SECONDS", "120"))
    speeds = "4" if smoke else os.environ.get("REELWAY_BENCH_SPEEDS", "1 2 4")
    at_end, in_front = os.path.join(work, "end.mp4"), os.path.join(work, "front.mp4")
    say(f"  making a {seconds} s clip ...")
    make_clip(at_end, seconds, clip_height(smoke))
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", at_end, "-c", "copy", "-movflags", "+faststart", in_front], check=True)
    hand_wall, hand_cpu = by_hand(in_front, os.path.join(work, "hand"), clip_height(smoke))
    say(f"  one ffmpeg: {hand_wall:.1f} s wall, {hand_cpu:.1f} s CPU")
    rows, speeds = [], [float(speed) for speed in speeds.split()]
    for speed in speeds:
        # What begins after the last byte takes as long however fast the bytes came.
        ways = [way for way in WAYS if way in EARLY_WAYS or speed == max(speeds)]
        for name, front, tail_first, overlap in ways:
            directory = os.path.join(work, "node")
            os.makedirs(directory)
            clip = in_front if front else at_end
            row = send(tools[0], directory, clip, os.path.getsize(clip) * speed / seconds, tail_first, overlap)
            row["cpu_ratio"] = round(row["cpu_s"] / hand_cpu, 2)
            rows.append({"way": name, "speed": speed, **row})
            say(f"  {rows[-1]}")
            shutil.rmtree(directory)
    return {"overlap": rows, "overlap_one_ffmpeg": {"wall_s": round(hand_wall, 1), "cpu_s": round(hand_cpu, 1)}}


def send(reelway, directory, clip, bytes_per_s, tail_first, overlap):
    """Sends one file at a rate; gives when what happened, in seconds, by the server's own timestamps."""
    size = os.path.getsize(clip)
    with Node(reelway, directory) as node:
        edge = Edge(node.line["http"])
        before = node.tree_cpu_seconds()
        upload = edge.create(size, "standard" if overlap else "none")
        started = time.time()
        if tail_first:
            edge.put_tail(upload, clip, index_start(clip), size)
        edge.write(upload, clip, bytes_per_s)
        cpu_by_the_last_byte_s = node.tree_cpu_seconds()
        told = edge.get(f"/v1/uploads/{upload}")["upload"]
        job = edge.ended(told["jobId"] if overlap else edge.create_job(upload))
        cpu_after_all_s = node.tree_cpu_seconds()
    left_s = (cpu_after_all_s - cpu_by_the_last_byte_s) / os.cpu_count()
    complete, playable, done = (seconds_of(text) for text in (told["completeTime"], job["playableTime"], job["finishTime"]))
    first = started + first_segment_bytes(clip) / bytes_per_s
    return {
        "playable_after_first_segment_s": round(playable - first, 1),
        "playable_after_start_s": round(playable - started, 1),
        "playable_after_end_s": round(playable - complete, 1),
        "done_after_end_s": round(done - complete, 1),
        "upload_s": round(complete - started, 1),
        # What was left to do after the last byte, had all cores been busy with it.
        "work_left_s": round(left_s, 1),
        "done_to_work_left": round((done - complete) / left_s, 2),
        "cpu_s": round(cpu_after_all_s - before, 1),
    }


class Edge:
    """The HTTP edge of a node, as a page would use it."""

    def __init__(self, address):
        self.address = address

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=3600)
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:400]}")
        return answer, text

    def get(self, path):
        return json.loads(self.call("GET", path)[1])

    def post(self, path, message):
        return json.loads(self.call("POST", path, json.dumps(message), {"Content-Type": "application/json"})[1])

    def create(self, size, preset):
        return self.post("/v1/uploads", {"sizeBytes": str(size), "fileName": "clip.mp4", "preset": preset})["upload"]["id"]

    def create_job(self, upload):
        return self.post("/v1/jobs", {"uploadId": upload, "preset": "standard"})["job"]["id"]

    def put_tail(self, upload, clip, start, size):
        with open(clip, "rb") as file:
            file.seek(start)
            self.call("PUT", f"/files/{upload}/tail", file.read(), {"Content-Range": f"bytes {start}-{size - 1}/{size}"})

    def write(self, upload, clip, bytes_per_s):
        headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        headers["Content-Length"] = str(os.path.getsize(clip))
        self.call("PATCH", f"/files/{upload}", paced(clip, bytes_per_s), headers)

    def ended(self, job):
        while True:
            told = self.get(f"/v1/jobs/{job}")["job"]
            if told["state"] == "JOB_STATE_SUCCEEDED":
                return told
            if told["state"] in ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED"):
                raise RuntimeError(f"the job did not succeed: {told}")
            time.sleep(0.1)


def paced(clip, bytes_per_s):
    """The file's bytes, none sooner than its rate allows."""
    started, sent = time.monotonic(), 0
    with open(clip, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            due = started + (sent + len(block)) / bytes_per_s
            time.sleep(max(0, due - time.monotonic()))
            sent += len(block)
            yield block


def index_start(clip):
    """Where the `moov` box of an MP4 begins."""
    with open(clip, "rb") as file:
        offset = 0
        while header := file.read(16):
            length, kind = struct.unpack(">I4s", header[:8])
            if kind == b"moov":
                return offset
            offset += struct.unpack(">Q", header[8:])[0] if length == 1 else length
            file.seek(offset)
    raise RuntimeError("no moov")


def first_segment_bytes(clip):
    """How many bytes of the file must have arrived to hold its first segment."""
    argv = ["ffprobe", "-v", "error", "-show_entries", "packet=pts_time,pos,size", "-of", "json", clip]
    packets = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)["packets"]
    return max(int(p["pos"]) + int(p["size"]) for p in packets if float(p["pts_time"]) < SEGMENT_S)
