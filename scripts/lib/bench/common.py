"""What all groups of scripts/bench share: builds, processes of ours with their CPU time and memory, and the machine."""

import json
import os
import platform
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
TICKS = os.sysconf("SC_CLK_TCK")


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(profile):
    """Builds the command and the program that loads it; gives their paths. $REELWAY_BIN is a command that is built already, with the program beside it."""
    if reelway := os.environ.get("REELWAY_BIN"):
        return reelway, os.path.join(os.path.dirname(reelway), "reelway-bench")
    say(f"building ({profile}) ...")
    flags = ["--release"] if profile == "release" else []
    subprocess.run(["cargo", "build", "--locked", *flags, "--workspace", "--bins"], cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    directory = os.path.join(target, "release" if profile == "release" else "debug")
    return os.path.join(directory, "reelway"), os.path.join(directory, "reelway-bench")


class Process:
    """A server of ours: its CPU time and its peak memory, read from /proc."""

    def __init__(self, argv, **options):
        self.child = subprocess.Popen(argv, **options)

    def cpu_seconds(self, with_children=False):
        with open(f"/proc/{self.child.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        count = 4 if with_children else 2
        return sum(int(field) for field in fields[11 : 11 + count]) / TICKS

    def tree_cpu_seconds(self):
        """The CPU time of this process and of all below it, those that still run included."""
        parents, spent = {}, {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended in between
            parents[int(pid)], spent[int(pid)] = int(fields[1]), sum(map(int, fields[11:15]))
        return sum(ticks for pid, ticks in spent.items() if self.is_above(pid, parents)) / TICKS

    def is_above(self, pid, parents):
        while pid in parents and pid != self.child.pid:
            pid = parents[pid]
        return pid == self.child.pid

    def peak_mib(self):
        return self.memory_mib("VmHWM")

    def memory_mib(self, field="VmRSS"):
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) / 1024
        raise RuntimeError(f"no {field}")

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Server(Process):
    """`reelway serve` with options, ready; `line` is what it said of its addresses."""

    def __init__(self, reelway, directory, *options):
        self.log = open(os.path.join(directory, f"server-{len(os.listdir(directory))}.log"), "a+", encoding="utf-8")
        argv = [reelway, "serve", "--log-format", "json", "--admin", "127.0.0.1:0", *options]
        # What the shell sets for its own servers is not meant for these.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")}
        super().__init__(argv, stderr=self.log, env=environment)
        self.line = self.wait_ready()

    def wait_ready(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.child.poll() is None:
            with open(self.log.name, encoding="utf-8") as log:
                for line in log:
                    if '"node is ready"' in line:
                        return json.loads(line)
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start; see {self.log.name}")


class Node(Server):
    """All roles in one process."""

    def __init__(self, reelway, directory, *options):
        data = os.path.join(directory, "data")
        super().__init__(reelway, directory, "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", *options)
        self.url = "http://" + self.line["grpc"]


def machine():
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}"
