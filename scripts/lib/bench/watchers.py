"""Many watchers on one progress server: memory for each, and how soon they hear of an event."""

import json
import os
import subprocess

from common import Server, say
from services import Postgres, Redis


def measure(tools, work, smoke):
    count, seconds = (200, 3) if smoke else (10000, 30)
    reelway, bench = tools
    with Postgres(work) as postgres, Redis(work) as redis:
        subprocess.run([reelway, "migrate", "--database", postgres.url], check=True, stdout=subprocess.DEVNULL)
        options = ["--role", "progress", "--data", os.path.join(work, "progress"), "--grpc", "127.0.0.1:0"]
        servers = ["--database", postgres.url, "--redis", redis.url]
        with Server(reelway, work, *options, *servers) as server:
            before = server.memory_mib()
            argv = [bench, "watchers", "--url", "http://" + server.line["progress"], *servers]
            argv += ["--count", str(count), "--seconds", str(seconds)]
            told = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
            peak = server.peak_mib()
    say(f"  {count} watchers: {told}, memory {before:.0f} to {peak:.0f} MiB")
    return {
        "watchers": count,
        "watcher_samples_per_s": told["samples_per_s"],
        "watcher_kib_each": round((peak - before) * 1024 / count, 1),
        "watcher_event_ms": {"p50": told["p50_ms"], "p99": told["p99_ms"]},
    }
