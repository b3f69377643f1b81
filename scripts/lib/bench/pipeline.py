"""One clip from the end of its upload to the end of its job, against one hand-written ffmpeg."""

import json
import os
import resource
import statistics
import subprocess
import time
from datetime import datetime

from common import Node, say

# How high the clips are, and those of a smoke run.
HEIGHT, SMOKE_HEIGHT = 1080, 360


def clip_height(smoke):
    return SMOKE_HEIGHT if smoke else HEIGHT


def make_clip(path, seconds, height):
    picture = f"mandelbrot=size=480x270:rate=30:maxiter=400,scale={height * 16 // 9}:{height}:flags=bicubic,noise=alls=10:allf=t,format=yuv420p"
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=440:r=48000"]
    argv += ["-t", str(seconds), "-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-c:a", "aac", "-ac", "2", path]
    subprocess.run(argv, check=True)


LADDER = ((1920, 1080, 5000, 40), (1280, 720, 2800, 31), (854, 480, 1400, 31), (640, 360, 800, 30))


def by_hand(clip, directory, height):
    """The ladder of a clip of that height with the same settings by one ffmpeg: veryfast, CRF 23 capped, a keyframe each 4 s, AAC."""
    os.makedirs(directory)
    ladder = [rung for rung in LADDER if rung[1] <= height]
    heads = "".join(f"[s{i}]" for i in range(len(ladder)))
    graph = f"[0:v]split={len(ladder)}{heads};" + ";".join(
        f"[s{i}]scale={w}:{h}:flags=bicubic,format=yuv420p[v{i}]" for i, (w, h, _, _) in enumerate(ladder)
    )
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", clip, "-filter_complex", graph]
    for i, (_, h, kbps, level) in enumerate(ladder):
        argv += ["-map", f"[v{i}]", "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-crf", "23"]
        argv += ["-maxrate", f"{kbps}k", "-bufsize", f"{2 * kbps}k", "-g", "300", "-bf", "3"]
        argv += ["-force_key_frames", "expr:gte(t,n_forced*4)", "-f", "mp4", "-movflags", "+cmaf+frag_keyframe+delay_moov"]
        argv += [os.path.join(directory, f"{h}p.mp4")]
    argv += ["-map", "0:a", "-c:a", "aac", "-b:a", "128k", "-f", "mp4", "-movflags", "+cmaf+delay_moov"]
    argv += ["-frag_duration", "4000000", os.path.join(directory, "audio.mp4")]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(argv, check=True)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_reelway(reelway, clip, directory):
    os.makedirs(directory)
    with Node(reelway, directory) as node:
        before = node.cpu_seconds(with_children=True)
        wall = time_of_job(reelway, clip, ["--server", node.url])
        return wall, node.cpu_seconds(with_children=True) - before


def time_of_job(reelway, clip, servers, options=()):
    """Uploads a clip; gives the time from the end of the upload to the end of the job, by the server's own timestamps."""
    argv = [reelway, "upload", clip, "--json", "--no-resume", *options, *servers]
    lines = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    result = json.loads(lines[-1])
    if result["state"] != "succeeded":
        raise RuntimeError(f"the job did not succeed: {result}")

    def get(noun, name):
        argv = [reelway, noun, "get", name, "--json", *servers]
        return json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)

    upload, job = get("uploads", result["upload_id"]), get("jobs", result["job_id"])
    return seconds_of(job["finish_time"]) - seconds_of(upload["complete_time"])


def seconds_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def measure(tools, work, smoke):
    seconds, rounds = (6, 1) if smoke else (60, 3)
    clip = os.path.join(work, "clip.mp4")
    say(f"  making a {seconds} s clip ...")
    make_clip(clip, seconds, clip_height(smoke))
    figures = {"ffmpeg": [], "reelway": []}
    for number in range(rounds):
        figures["ffmpeg"].append(by_hand(clip, os.path.join(work, f"hand-{number}"), clip_height(smoke)))
        say(f"  round {number + 1}: one ffmpeg {figures['ffmpeg'][-1][0]:.1f} s wall, {figures['ffmpeg'][-1][1]:.1f} s CPU")
        figures["reelway"].append(by_reelway(tools[0], clip, os.path.join(work, f"node-{number}")))
        say(f"  round {number + 1}: reelway {figures['reelway'][-1][0]:.1f} s wall, {figures['reelway'][-1][1]:.1f} s CPU")
    median = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
    return {
        "pipeline_wall_s": {name: round(values[0], 1) for name, values in median.items()},
        "pipeline_cpu_s": {name: round(values[1], 1) for name, values in median.items()},
        "pipeline_wall_ratio": round(median["reelway"][0] / median["ffmpeg"][0], 2),
        "pipeline_cpu_ratio": round(median["reelway"][1] / median["ffmpeg"][1], 2),
    }
