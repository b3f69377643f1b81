#!/usr/bin/env bash
# Makes the Python environment of the test client in .cache/python-client, unless it is there already, and prints the path
# of its interpreter. What it installs is pinned in crates/e2e/python/requirements.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly REQUIREMENTS=crates/e2e/python/requirements.txt
readonly DIR=$PWD/.cache/python-client

# Finished with what is asked for now? The copy of the list is the last thing that is written.
if ! cmp -s "$REQUIREMENTS" "$DIR/installed.txt"; then
    rm -rf "$DIR"
    mkdir -p "$(dirname "$DIR")"
    {
        python3 -m venv "$DIR"
        "$DIR/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$REQUIREMENTS"
    } >&2
    cp "$REQUIREMENTS" "$DIR/installed.txt"
fi
printf '%s\n' "$DIR/bin/python"
