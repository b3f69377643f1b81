#!/usr/bin/env bash
# Puts promtool into .cache, unless it is there already or installed, and prints its path.
#
# Debian ships it with Prometheus. The package is unpacked and not installed: nothing is to start that server.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly DIR=$PWD/.cache/promtool

if command -v promtool; then
    exit
fi

# Tests that run side by side may ask for it at once.
mkdir -p .cache
exec {lock}>.cache/promtool.lock
flock "$lock"

if [[ ! -x $DIR/promtool ]]; then
    unpacked=$(mktemp -d -t promtool.XXXXXX)
    trap 'rm -rf "$unpacked"' EXIT
    {
        cd "$unpacked"
        apt-get download prometheus
        dpkg-deb --extract prometheus_*.deb .
        mkdir -p "$DIR"
        # On the same file system first, so that it appears whole.
        cp usr/bin/promtool "$DIR/promtool.new"
        mv "$DIR/promtool.new" "$DIR/promtool"
    } >&2
fi
printf '%s\n' "$DIR/promtool"
