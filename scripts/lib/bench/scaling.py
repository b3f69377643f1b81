"""One clip on 1, 2 and 4 workers, each with one slot, which runs one encoding thread."""

import os
import shutil
import subprocess

from common import Server, say
from pipeline import clip_height, make_clip, time_of_job
from services import Postgres, Redis

WORKERS = (1, 2, 4)


def measure(tools, work, smoke):
    seconds = 8 if smoke else int(os.environ.get("REELWAY_BENCH_CLIP_SECONDS", "600"))
    clip = os.path.join(work, "long.mp4")
    say(f"  making a {seconds} s clip of {clip_height(smoke)}p ...")
    make_clip(clip, seconds, clip_height(smoke))
    walls = {}
    with Postgres(work) as postgres, Redis(work) as redis:
        # The database is new, and split roles wait for its schema.
        subprocess.run([tools[0], "migrate", "--database", postgres.url], check=True, stdout=subprocess.DEVNULL)
        for count in WORKERS:
            walls[count] = run(tools[0], clip, os.path.join(work, f"workers-{count}"), count, postgres, redis)
            say(f"  {count} workers: {walls[count]:.1f} s")
    return {
        "scaling_clip_s": seconds,
        "scaling_wall_s": {str(count): round(wall, 1) for count, wall in walls.items()},
        "scaling_speed_up": {str(count): round(walls[1] / walls[count], 2) for count in WORKERS[1:]},
    }


def run(reelway, clip, directory, count, postgres, redis):
    os.makedirs(directory)
    # Not below the run's directory: all rounds are one deployment, and a deployment has one store.
    store = os.path.join(os.path.dirname(directory), "store")
    shared = ["--database", postgres.url, "--redis", redis.url, "--store", f"file://{store}?shared=true"]
    front = ["--role", "upload,jobs,progress", "--data", os.path.join(directory, "front")]
    ports = [part for role in ("upload", "jobs", "progress") for part in (f"--{role}-grpc", "127.0.0.1:0")]
    with Server(reelway, directory, *shared, *front, *ports) as server:
        workers = []
        try:
            for number in range(count):
                data = os.path.join(directory, f"worker-{number}")
                options = ["--role", "worker", "--worker-slots", "1", "--data", data]
                workers.append(Server(reelway, directory, *shared, *options))
            urls = {role: "http://" + server.line[role] for role in ("upload", "jobs", "progress")}
            wall = time_of_job(reelway, clip, [part for role in urls for part in (f"--{role}-url", urls[role])])
        finally:
            for worker in workers:
                worker.stop()
    shutil.rmtree(directory)
    return wall
