"""What one server of each role carries, and what Postgres and Redis carry under them: the figures of docs/scaling.md."""

import glob
import os
import re
import shutil
import subprocess
import time

import tasks
import watchers
from capacity_page import markdown, write
from common import Server, machine, say
from pipeline import clip_height, make_clip, time_of_job
from services import Postgres, Redis
from upload import load

# One size for all of them: an upload that is neither all setting up nor all bytes.
UPLOAD_MIB = 16
# How many at once: the last one is well beyond what one client does.
AT_ONCE = (1, 16, 64)
PRESETS = ("fast", "standard")
# A hint, as long as they come.
ENTRY_BYTES = 200
# How long servers without work are looked at.
IDLE_S = 5


def measure(tools, work, smoke):
    figures = {"machine": machine(), "is_smoke": smoke, "upload_mib": UPLOAD_MIB}
    with Postgres(work) as postgres, Redis(work) as redis:
        figures |= of_roles(tools, work, smoke, postgres, redis)
        figures |= of_tasks(tools[1], smoke, postgres, redis)
        figures |= of_redis(smoke, redis)
    figures |= of_watchers(tools, os.path.join(work, "watched"), smoke)
    say(markdown(figures))
    # A page of what a smoke run sees would be a lie that lasts.
    if os.environ.get("REELWAY_BENCH_PAGE") and not smoke:
        write(os.environ["REELWAY_BENCH_PAGE"], figures)
    return {"capacity": figures}


def of_roles(tools, work, smoke, postgres, redis):
    """One upload server with many uploads at once, and one worker with one slot."""
    url = postgres.database("roles")
    subprocess.run([tools[0], "migrate", "--database", url], check=True, stdout=subprocess.DEVNULL)
    store = os.path.join(work, "store")
    shared = ["--database", url, "--redis", redis.url, "--store", f"file://{store}?shared=true"]
    front = ["--role", "jobs,progress", "--data", os.path.join(work, "front")]
    front += ["--jobs-grpc", "127.0.0.1:0", "--progress-grpc", "127.0.0.1:0"]
    upload = ["--role", "upload", "--data", os.path.join(work, "upload"), "--grpc", "127.0.0.1:0"]
    with Server(tools[0], work, *shared, *upload) as server, Server(tools[0], work, *shared, *front) as jobs:
        idle_per_s = idle_transactions(url)
        rows = [upload_row(tools[1], server, url, at_once, smoke, idle_per_s) for at_once in (AT_ONCE[:2] if smoke else AT_ONCE)]
        worker = ["--role", "worker", "--worker-slots", "1", "--data", os.path.join(work, "worker")]
        lines = {**server.line, **jobs.line}
        urls = [part for role in ("upload", "jobs", "progress") for part in (f"--{role}-url", "http://" + lines[role])]
        with Server(tools[0], work, *shared, *worker) as worker:
            encoding = encoding_rows(tools[0], worker, urls, work, smoke, url)
        return {"uploads": rows, "upload_server_mib": round(server.peak_mib()), "encoding": encoding}


def upload_row(bench, server, database, at_once, smoke, idle_per_s):
    uploads = at_once if smoke else max(at_once, 16)
    rounds = uploads // at_once
    before, commits, began = server.cpu_seconds(), transactions(database), time.monotonic()
    seconds = sum(load(bench, "http://" + server.line["upload"], at_once, UPLOAD_MIB)["seconds"] for _ in range(rounds))
    mib = uploads * UPLOAD_MIB
    commits = transactions(database) - commits - idle_per_s * (time.monotonic() - began)
    row = {
        "at_once": at_once,
        "mib_per_s": round(mib / seconds),
        "per_s": round(uploads / seconds, 1),
        "cpu_s_per_gib": round((server.cpu_seconds() - before) * 1024 / mib, 2),
        "transactions_each": round(max(commits, 0) / uploads, 1),
    }
    say(f"  {row}")
    return row


def encoding_rows(reelway, worker, urls, work, smoke, database):
    seconds = 4 if smoke else 30
    clip = os.path.join(work, "clip.mp4")
    say(f"  making a {seconds} s clip of {clip_height(smoke)}p ...")
    make_clip(clip, seconds, clip_height(smoke))
    rows, idle_per_s = [], idle_transactions(database)
    for preset in PRESETS[:1] if smoke else PRESETS:
        before, commits, began = worker.cpu_seconds(with_children=True), transactions(database), time.monotonic()
        wall = time_of_job(reelway, clip, urls, ["--preset", preset])
        cpu = worker.cpu_seconds(with_children=True) - before
        commits = transactions(database) - commits - idle_per_s * (time.monotonic() - began)
        rows.append({
            "preset": preset,
            "source_s_per_s": round(seconds / wall, 2),
            "source_s_per_core_s": round(seconds / cpu, 2),
            "transactions_per_minute_of_source": round(max(commits, 0) * 60 / seconds),
        })
        say(f"  {rows[-1]}")
    return rows


def idle_transactions(database):
    """What servers without work commit in a second: they look for what is left to do."""
    began, before = time.monotonic(), transactions(database)
    time.sleep(IDLE_S)
    return (transactions(database) - before) / (time.monotonic() - began)


def transactions(database):
    """How many Postgres has committed in a database. Its processes tell with a delay of up to a second or so."""
    query = "SELECT pg_sleep(1.5); SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    told = subprocess.run(["psql", database, "--no-psqlrc", "-At", "-c", query], check=True, stdout=subprocess.PIPE, text=True)
    return int(told.stdout.split()[-1])


def of_tasks(bench, smoke, postgres, redis):
    """Claims and results of empty tasks from 256 slots: as fast as the catalog commits."""
    count, database = (400 if smoke else 20000), postgres.database("drained")
    seconds = tasks.drain(bench, ["--database", database, "--redis", redis.url], count)
    row = {"tasks_per_s": round(count / seconds), "transactions_per_s": pgbench(postgres.database("pgbench"), smoke)}
    say(f"  {row}")
    return row


def pgbench(database, smoke):
    """Small writing transactions of 32 clients, each synced: what Postgres can do at most, whoever asks."""
    program = shutil.which("pgbench") or sorted(glob.glob("/usr/lib/postgresql/*/bin/pgbench"))[-1]
    subprocess.run([program, "--initialize", "--quiet", "--scale", "10", database], check=True, stderr=subprocess.DEVNULL)
    argv = [program, "--no-vacuum", "--skip-some-updates", "--client", "32", "--time", "2" if smoke else "20", database]
    said = subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return round(float(re.search(r"tps = ([0-9.]+)", said)[1]))


def of_redis(smoke, redis):
    """Entries that one stream takes, one each round trip, and many."""
    rates = {}
    for name, pipeline in (("redis_entries_per_s", 1), ("redis_entries_per_s_in_batches", 16)):
        argv = ["redis-benchmark", "-p", str(redis.port), "-n", "5000" if smoke else "500000", "-c", "50", "-P", str(pipeline)]
        argv += ["-q", "XADD", "bench", "MAXLEN", "~", "100000", "*", "m", "x" * ENTRY_BYTES]
        said = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
        rates[name] = round(float(re.findall(r"([0-9.]+) requests per second", said)[-1]))
    say(f"  {rates}")
    return rates


def of_watchers(tools, work, smoke):
    os.makedirs(work)
    os.chmod(work, 0o711)
    return watchers.measure(tools, work, smoke)
