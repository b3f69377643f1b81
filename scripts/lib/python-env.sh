#!/usr/bin/env bash
# Makes a Python environment in .cache, unless it is there already, and prints the path of its interpreter.
#
#   python-env.sh NAME REQUIREMENTS
#
# It is .cache/NAME and has what the file REQUIREMENTS pins.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly DIR=$PWD/.cache/$1
readonly REQUIREMENTS=$2

# Tests that run side by side may ask for it at once.
mkdir -p .cache
exec {lock}>".cache/$1.lock"
flock "$lock"

# Finished with what is asked for now? The copy of the list is the last thing that is written.
if ! cmp -s "$REQUIREMENTS" "$DIR/installed.txt"; then
    rm -rf "$DIR"
    {
        python3 -m venv "$DIR"
        # What is used is compiled when it is, a small part of it.
        "$DIR/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --requirement "$REQUIREMENTS"
    } >&2
    cp "$REQUIREMENTS" "$DIR/installed.txt"
fi
printf '%s\n' "$DIR/bin/python"
