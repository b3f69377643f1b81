#!/usr/bin/env bash
# Makes a directory with npm packages in .cache, unless it is there already, and prints its path.
#
#   node-env.sh NAME PACKAGE_JSON
#
# It is .cache/NAME and has what the file PACKAGE_JSON pins.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly DIR=$PWD/.cache/$1
readonly PACKAGE=$2

# Tests that run side by side may ask for it at once.
mkdir -p .cache
exec {lock}>".cache/$1.lock"
flock "$lock"

# Finished with what is asked for now? The second copy of the list is the last thing that is written.
if ! cmp -s "$PACKAGE" "$DIR/installed.json"; then
    rm -rf "$DIR"
    mkdir -p "$DIR"
    cp "$PACKAGE" "$DIR/package.json"
    npm install --prefix "$DIR" --no-audit --no-fund --loglevel=error >&2
    cp "$PACKAGE" "$DIR/installed.json"
fi
printf '%s\n' "$DIR"
