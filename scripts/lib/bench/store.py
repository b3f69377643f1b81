"""Uploads into a bucket, against a plain client of the same S3 server and against a tus server over it, in the same run."""

import json
import os
import resource
import subprocess

import tus
from common import ROOT, Node, say
from services import ObjectStore
from upload import load


def measure(tools, work, smoke):
    reelway, bench = tools
    mib, rounds = (16, 1) if smoke else (1024, 4)  # as many as there are ways, so that each begins once
    many, each_mib = (4, 9) if smoke else (64, 64)
    with ObjectStore(work) as store:
        os.environ.update(store.environment)  # the servers below inherit them
        told = throughput(tools, work, store, mib, rounds)
        peaks = {count: peak(tools, work, store, count, each_mib) for count in (1, many)}
    for name in store.environment:
        del os.environ[name]
    plain = told["plain client"]["mib_per_s"]
    return {
        "store": told,
        "store_throughput_ratio": {name: round(row["mib_per_s"] / plain, 2) for name, row in told.items()},
        "store_peak_mib": {f"{count} uploads": peaks[count] for count in peaks},
    }


def throughput(tools, work, store, mib, rounds):
    """One upload at a time, each way in turn; what each way gives in the middle."""
    reelway, bench = tools
    ways = {
        "plain client": lambda directory: plain(bench, store, mib),
        "reelway, gRPC": lambda directory: ours(tools, directory, store, mib, over_grpc),
        "reelway, tus": lambda directory: ours(tools, directory, store, mib, over_tus),
        "@tus/server": lambda directory: peer(bench, directory, store, mib),
    }
    told = {name: [] for name in ways}
    for number in range(rounds):
        for name, measured in tus.turned(ways, number):
            directory = os.path.join(work, f"store-{len(os.listdir(work))}")
            os.makedirs(directory)
            told[name].append(measured(directory))
            say(f"  round {number + 1}: {name} {told[name][-1]}")
    return {name: tus.median(runs) for name, runs in told.items()}


def plain(bench, store, mib):
    """The client's own CPU time, with making the bytes: what a server has besides is receiving them."""
    before = children_seconds()
    argv = [bench, "store", "--endpoint", store.endpoint, "--store", f"s3://{store.bucket}/plain", "--mib", str(mib)]
    told = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return row(mib, told["seconds"], children_seconds() - before)


def ours(tools, directory, store, mib, send):
    reelway, bench = tools
    with node(reelway, directory, store) as server:
        send(bench, server, min(mib, 64))  # the first bytes after an idle spell are dear
        before = server.cpu_seconds()
        seconds = send(bench, server, mib)
        return row(mib, seconds, server.cpu_seconds() - before)


def over_grpc(bench, server, mib):
    return load(bench, server.url, 1, mib)["seconds"]


def over_tus(bench, server, mib):
    return tus.load(bench, "http://" + server.line["http"] + "/files/", 1, mib << 10, None, 1)


def peer(bench, directory, store, mib):
    script = os.path.join(ROOT, "scripts", "lib", "node-env.sh")
    package = os.path.join(ROOT, "scripts", "lib", "bench", "tus-s3.json")
    packages = subprocess.run([script, "tus-s3", package], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    port, program = tus.free_port(), os.path.join(ROOT, "scripts", "lib", "bench", "tus-s3.mjs")
    argv = ["node", program, packages, str(port), store.endpoint, store.bucket]
    with tus.Peer("@tus/server", argv, port, directory) as server:
        tus.load(bench, server.url, 1, min(mib, 64) << 10, None, 1)
        before = server.cpu_seconds()
        seconds = tus.load(bench, server.url, 1, mib << 10, None, 1)
        return row(mib, seconds, server.cpu_seconds() - before)


def peak(tools, work, store, uploads, mib):
    """The server's peak memory with so many uploads at once, in MiB."""
    reelway, bench = tools
    directory = os.path.join(work, f"peak-{uploads}")
    os.makedirs(directory)
    with node(reelway, directory, store) as server:
        load(bench, server.url, uploads, mib)
        found = round(server.peak_mib(), 1)
    say(f"  {uploads} uploads: peak {found} MiB")
    return found


def node(reelway, directory, store):
    """A node with a catalog of its own, and so with a store of its own: its directory names the prefix."""
    url = f"s3://{store.bucket}/{os.path.basename(directory)}"
    return Node(reelway, directory, "--store", url, "--store-endpoint", store.endpoint)


def row(mib, seconds, cpu):
    return {"mib_per_s": round(mib / seconds, 1), "cpu_s_per_gib": round(cpu * 1024 / mib, 2)}


def children_seconds():
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
