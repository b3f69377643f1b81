"""Uploads: throughput and CPU against a bare service, and memory with many at once."""

import json
import os
import shutil
import statistics
import subprocess

from common import Node, Process, say


class Baseline(Process):
    def __init__(self, bench, directory):
        super().__init__([bench, "baseline", "--dir", directory], stdout=subprocess.PIPE, text=True)
        self.url = "http://" + self.child.stdout.readline().strip()


def load(bench, url, uploads, mib):
    argv = [bench, "load", "--url", url, "--uploads", str(uploads), "--mib", str(mib)]
    return json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure_upload(tools, work, smoke):
    reelway, bench = tools
    mib, rounds = (64, 1) if smoke else (1024, 5)
    figures = {"bare": [], "reelway": []}
    bare_dir = os.path.join(work, "bare")
    os.makedirs(bare_dir)
    with Baseline(bench, bare_dir) as bare, Node(reelway, work) as node:
        for server in (bare, node):
            load(bench, server.url, 1, min(mib, 256))  # the first bytes after an idle spell are dear
        for number in range(rounds):
            for name, server in (("bare", bare), ("reelway", node)):
                before = server.cpu_seconds()
                seconds = load(bench, server.url, 1, mib)["seconds"]
                figures[name].append((mib / seconds, (server.cpu_seconds() - before) * 1024 / mib))
                say(f"  round {number + 1}: {name} {figures[name][-1][0]:.0f} MiB/s, {figures[name][-1][1]:.2f} CPU s/GiB")
    median = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
    return {
        "upload_mib_per_s": {name: round(values[0]) for name, values in median.items()},
        "upload_cpu_s_per_gib": {name: round(values[1], 2) for name, values in median.items()},
        "upload_throughput_ratio": round(median["reelway"][0] / median["bare"][0], 2),
        "upload_cpu_ratio": round(median["reelway"][1] / median["bare"][1], 2),
    }


def measure_memory(tools, work, smoke):
    reelway, bench = tools
    mib = 4 if smoke else 64
    peaks = {}
    for uploads in (1, 64):
        directory = os.path.join(work, f"memory-{uploads}")
        os.makedirs(directory)
        with Node(reelway, directory) as node:
            load(bench, node.url, uploads, mib)
            peaks[uploads] = node.peak_mib()
        say(f"  {uploads} uploads: peak {peaks[uploads]:.0f} MiB")
        shutil.rmtree(os.path.join(directory, "data"))
    return {
        "memory_peak_mib": {str(uploads): round(peak, 1) for uploads, peak in peaks.items()},
        "memory_64_uploads_more_mib": round(peaks[64] - peaks[1], 1),
    }
