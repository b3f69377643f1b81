"""A private Postgres, Redis and S3 server, on loopback and free ports, ended with the run."""

import os
import socket
import subprocess
import time

from common import ROOT


class Postgres:
    """The one of scripts/lib/postgres.sh; it ends with the shell that started it."""

    def __init__(self, directory):
        script = 'source scripts/lib/postgres.sh && postgres_start "$1" && echo "$POSTGRES_URL" && read -r _; postgres_stop'
        argv = ["bash", "-c", script, "bash", os.path.join(directory, "postgres")]
        self.shell = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.shell.stdout.readline().strip()
        if not self.url:
            raise RuntimeError("Postgres did not start")

    def database(self, name):
        """Makes a database of its own; gives its URL."""
        subprocess.run(["psql", self.url, "--quiet", "-c", f"CREATE DATABASE {name}"], check=True)
        return self.url.rsplit("/", 1)[0] + "/" + name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shell.stdin.close()
        self.shell.wait(30)


class Redis:
    """As Debian ships it, with its log of writes synced each second."""

    def __init__(self, directory):
        where = os.path.join(directory, "redis")
        os.makedirs(where)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        argv = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", where, "--save", ""]
        self.child = subprocess.Popen(
            [*argv, "--appendonly", "yes", "--appendfsync", "everysec"], stdout=subprocess.DEVNULL
        )
        self.url = f"redis://127.0.0.1:{self.port}"
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", self.port)) != 0:
            if time.monotonic() > deadline or self.child.poll() is not None:
                raise RuntimeError("Redis did not start")
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait(10)


class ObjectStore:
    """The S3 server of scripts/lib/s3.sh; it ends with the shell that started it. `environment` has its credentials."""

    def __init__(self, directory):
        script = (
            'source scripts/lib/s3.sh && s3_install >&2 && s3_start "$1" >&2 && '
            'printf "%s\\n" "$S3_ENDPOINT" "$S3_BUCKET" "$AWS_REGION" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" && '
            "read -r _; s3_stop"
        )
        argv = ["bash", "-c", script, "bash", os.path.join(directory, "s3")]
        self.shell = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.endpoint, self.bucket, region, key, secret = (self.shell.stdout.readline().strip() for _ in range(5))
        if not secret:
            raise RuntimeError("the S3 server did not start")
        self.environment = {"AWS_REGION": region, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shell.stdin.close()
        self.shell.wait(30)
