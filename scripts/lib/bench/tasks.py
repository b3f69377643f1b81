"""Empty tasks: how soon a ready one is started, and how many a second, against BullMQ on the same Redis."""

import json
import os
import statistics
import subprocess

from common import ROOT, say
from services import Postgres, Redis

BULLMQ, IOREDIS = "6.7.0", "5.8.2"
SLOTS = 256
RATE = 50


def measure(tools, work, smoke):
    bench, directory = tools[1], install_bullmq()
    count, ready, rounds = (400, 50, 1) if smoke else (10000, 1000, 3)
    seconds = {"reelway": [], "bullmq": []}
    late = {since: {"reelway": [], "bullmq": []} for since in ("from_return_ms", "from_call_ms")}
    with Postgres(work) as postgres, Redis(work) as redis:
        def servers(phase):
            # Of what one phase left undone nothing is in the way of the next.
            return ["--database", postgres.database(phase), "--redis", redis.url]

        for number in range(rounds):
            seconds["bullmq"].append(bullmq_drain(directory, redis.port, f"drain-{number}", count))
            seconds["reelway"].append(drain(bench, servers(f"drain_{number}"), count))
            say("  round {}: {}".format(number + 1, {name: round(count / rows[-1]) for name, rows in seconds.items()}) + " tasks/s")
            options = ["--count", ready, "--slots", SLOTS, "--rate", RATE]
            told = {"bullmq": bullmq_start(directory, redis.port, f"start-{number}", ready)}
            told["reelway"] = reelway(bench, "start", *servers(f"start_{number}"), *options)
            for since, rows in late.items():
                for name in rows:
                    rows[name] += told[name][since]
                say(f"  round {number + 1}: {since} " + str({name: spread(told[name][since]) for name in rows}))
    rates = {name: count / statistics.median(rows) for name, rows in seconds.items()}
    figures = {
        "tasks_per_s": {name: round(rate) for name, rate in rates.items()},
        "tasks_rate_ratio": round(rates["reelway"] / rates["bullmq"], 2),
    }
    for since, rows in late.items():
        spreads = {name: spread(row) for name, row in rows.items()}
        figures[f"task_start_{since}"] = spreads
        figures[f"task_start_{since}_p99_ratio"] = round(spreads["reelway"]["p99"] / max(spreads["bullmq"]["p99"], 0.01), 2)
    return figures


def spread(latencies):
    ordered = sorted(latencies)
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * q))], 2) for name, q in (("p50", 0.5), ("p99", 0.99))}


def drain(bench, servers, count):
    return reelway(bench, "drain", *servers, "--count", count, "--slots", SLOTS)["seconds"]


def reelway(bench, what, *options):
    argv = [bench, "tasks", what, *map(str, options)]
    return json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def install_bullmq():
    directory = os.path.join(ROOT, ".cache", "bullmq")
    package = os.path.join(directory, "node_modules", "bullmq", "package.json")
    installed = json.load(open(package, encoding="utf-8"))["version"] if os.path.exists(package) else None
    if installed != BULLMQ or not os.path.exists(os.path.join(directory, "node_modules", "ioredis")):
        os.makedirs(directory, exist_ok=True)
        argv = ["npm", "install", "--prefix", directory, "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([*argv, f"bullmq@{BULLMQ}", f"ioredis@{IOREDIS}"], check=True)
    return directory


def bullmq(directory, *arguments, **options):
    argv = ["node", os.path.join(ROOT, "scripts", "lib", "bench", "bullmq.mjs"), *map(str, arguments)]
    return subprocess.Popen(argv, env={**os.environ, "BULLMQ_DIR": directory}, text=True, **options)


def finished(process):
    if process.wait() != 0:
        raise RuntimeError("BullMQ's side failed")


def bullmq_drain(directory, port, queue, count):
    finished(bullmq(directory, "fill", port, queue, count))
    worker = bullmq(directory, "drain", port, queue, count, SLOTS, stdout=subprocess.PIPE)
    result = json.loads(worker.stdout.read().splitlines()[-1])
    finished(worker)
    return result["seconds"]


def bullmq_start(directory, port, queue, count):
    worker = bullmq(directory, "start", port, queue, count, SLOTS, stdout=subprocess.PIPE)
    worker.stdout.readline()
    adder = bullmq(directory, "add", port, queue, count, RATE, stdout=subprocess.PIPE)
    asked = json.loads(adder.stdout.read())
    finished(adder)
    started = json.loads(worker.stdout.read().splitlines()[-1])
    finished(worker)
    # A start that comes before the call has returned came at once.
    late = {name: [max(0, started[job] - asked[job][at]) for job in asked] for at, name in enumerate(("from_call_ms", "from_return_ms"))}
    return late
