"""Keeps the table of values in helm/reelway/README.md as values.yaml has it.

usage: helm-values.py write | check       with the Python of scripts/lib/kube-tools.sh

A comment that begins with "--" is about the key below it, in the style of helm-docs.
"""

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parents[2] / "helm" / "reelway"
BEGIN, END = "<!-- values: by scripts/lib/helm-values.py -->\n", "<!-- end of values -->\n"


def described(text):
    """The paths of keys and what is said about them, in order."""
    path, about = [], None
    for line in text.splitlines():
        comment = re.match(r" *# (-- )?(.*)", line)
        key = re.match(r"( *)([A-Za-z]\w*):", line)
        if comment and comment[1]:
            about = comment[2]
        elif comment and about:
            about += " " + comment[2]
        elif key:
            path[len(key[1]) // 2 :] = [key[2]]
            if about:
                yield tuple(path), about
            about = None
        elif not comment:
            about = None


def default(values, path):
    for key in path:
        values = values[key]
    text = json.dumps(values)
    return "see values.yaml" if len(text) > 40 else f"`{text}`"


def table():
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    rows = [f"| `{'.'.join(path)}` | {default(values, path)} | {about.replace('|', chr(92) + '|')} |" for path, about in described(text)]
    return "\n".join(["| Key | Default | What it is |", "|---|---|---|", *rows]) + "\n"


def main(command):
    readme = CHART / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    wanted = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if command == "write":
        readme.write_text(wanted)
    elif readme.read_text() != wanted:
        sys.exit("helm/reelway/README.md is not as values.yaml has it: run scripts/lib/helm-values.py write")


main(*sys.argv[1:])
