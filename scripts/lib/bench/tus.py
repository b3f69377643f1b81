"""Uploads over tus, against the servers that a user would pick instead, in the same run."""

import json
import os
import shutil
import socket
import statistics
import subprocess
import time
import urllib.error
import urllib.request

from common import ROOT, Node, Process, say

RUSTUS = "0.5.10"
# Name, uploads, KiB each, KiB of a PATCH, at once; and the same for a smoke run.
ROWS = {
    "1 GiB in one PATCH": ((1, 1 << 20, None, 1), (1, 8 << 10, None, 1)),
    "1 GiB in PATCHes of 8 MiB": ((1, 1 << 20, 8 << 10, 1), (1, 16 << 10, 8 << 10, 1)),
    "64 of 16 MiB at once": ((64, 16 << 10, 4 << 10, 64), (4, 1 << 10, 512, 4)),
    "2000 of 64 KiB, 32 at once": ((2000, 64, None, 32), (20, 64, None, 4)),
}


class Peer(Process):
    """Another server, once it answers."""

    def __init__(self, name, argv, port, directory, path="/files/"):
        self.url, self.name = f"http://127.0.0.1:{port}{path}", name
        log = open(os.path.join(directory, "peer.log"), "a", encoding="utf-8")
        super().__init__(argv, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(urllib.request.Request(self.url, method="OPTIONS"), timeout=1)
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{name} did not start")


def measure(tools, work, smoke):
    reelway, bench = tools
    rounds = 1 if smoke else 4  # as many as servers, so that each begins once
    told = {row: {} for row in ROWS}
    for row, sizes in ROWS.items():
        shape = sizes[1] if smoke else sizes[0]
        for number in range(rounds):
            for name, start in turned(servers(reelway, smoke), number):
                directory = os.path.join(work, f"{name}-{number}-{len(os.listdir(work))}".replace("/", "_").replace(" ", "_"))
                os.makedirs(directory)
                with start(directory) as server:
                    told[row].setdefault(name, []).append(once(bench, server, shape))
                say(f"  {row}, round {number + 1}: {name} {told[row][name][-1]}")
        # Only now: a file system is slow at creating many files right after many were removed.
        for entry in os.listdir(work):
            shutil.rmtree(os.path.join(work, entry), ignore_errors=True)
    return {"tus": {row: {name: median(runs) for name, runs in peers.items()} for row, peers in told.items()}}


def turned(peers, number):
    """Another one begins in each round: who comes after a server that syncs nothing finds a disk that is still busy."""
    entries = list(peers.items())
    first = (number + 1) % len(entries)
    return entries[first:] + entries[:first]


def once(bench, server, shape):
    uploads, kib, patch_kib, at_once = shape
    os.sync()
    url = server.tus_url if isinstance(server, Node) else server.url
    load(bench, url, min(uploads, 8), min(kib, 1 << 16), patch_kib, at_once)  # the first bytes after an idle spell are dear
    before = server.cpu_seconds()
    seconds = load(bench, url, uploads, kib, patch_kib, at_once)
    cpu, mib = server.cpu_seconds() - before, uploads * kib / 1024
    return {
        "mib_per_s": round(mib / seconds, 1),
        "uploads_per_s": round(uploads / seconds, 1),
        "cpu_s_per_gib": round(cpu * 1024 / mib, 2),
        "peak_mib": round(server.peak_mib(), 1),
    }


def load(bench, url, uploads, kib, patch_kib, at_once):
    argv = [bench, "tus", "--url", url, "--uploads", str(uploads), "--kib", str(kib), "--at-once", str(at_once)]
    argv += ["--patch-kib", str(patch_kib)] if patch_kib else []
    return json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)["seconds"]


def median(runs):
    return {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}


def servers(reelway, smoke):
    def ours(directory):
        node = Node(reelway, directory)
        node.tus_url = "http://" + node.line["http"] + "/files/"
        return node

    node_server = install_node_server()
    peers = {"reelway": ours, "@tus/server": lambda directory: tus_server(node_server, directory)}
    if not smoke:
        # Built from source, which takes minutes: not worth it to see that the script runs.
        rustus_path = install_rustus()
        peers["rustus"] = lambda directory: rustus(rustus_path, directory)
        peers["rustus --force-fsync"] = lambda directory: rustus(rustus_path, directory, "--force-fsync", "true")
    return peers


def install_node_server():
    package = os.path.join(ROOT, "scripts", "lib", "bench", "tus-server.json")
    script = os.path.join(ROOT, "scripts", "lib", "node-env.sh")
    run = subprocess.run([script, "tus-server", package], check=True, stdout=subprocess.PIPE, text=True)
    return run.stdout.strip()


def tus_server(packages, directory):
    port = free_port()
    script = os.path.join(ROOT, "scripts", "lib", "bench", "tus-server.mjs")
    return Peer("@tus/server", ["node", script, packages, str(port), directory], port, directory)


def install_rustus():
    root = os.path.join(ROOT, ".cache", "rustus")
    binary = os.path.join(root, "bin", "rustus")
    if not os.path.exists(binary):
        say(f"  building rustus {RUSTUS} ...")
        environment = {**os.environ, "CARGO_TARGET_DIR": os.path.join(root, "target")}
        argv = ["cargo", "install", "rustus", "--version", RUSTUS, "--locked", "--root", root, "--quiet"]
        subprocess.run(argv, check=True, env=environment)
        shutil.rmtree(environment["CARGO_TARGET_DIR"], ignore_errors=True)
    return binary


def rustus(binary, directory, *options):
    port = free_port()
    argv = [binary, "--host", "127.0.0.1", "--port", str(port), "--data-dir", directory, "--info-dir", directory]
    return Peer("rustus", [*argv, "--max-body-size", str(2 << 30), *options], port, directory)


def free_port():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return reserved.getsockname()[1]
