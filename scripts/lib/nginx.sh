#!/usr/bin/env bash
# Unpacks nginx in .cache, unless it is there already, and prints the path of the program.
#
# Not installed as a package: that would start it, on a port that may be somebody else's.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly DIR=.cache/nginx

mkdir -p .cache
# Tests that run side by side may ask for it at once.
exec {lock}>.cache/nginx.lock
flock "$lock"
if [[ ! -x $DIR/usr/sbin/nginx ]]; then
    fresh=$(mktemp -d .cache/nginx.XXXXXX)
    (
        cd "$fresh"
        # It isn't known where to get it from before the first update of the lists.
        apt-get download -qq nginx || { apt-get update -qq && apt-get download -qq nginx; }
        dpkg-deb --extract nginx_*.deb .
    ) >&2
    rm -rf "$DIR"
    mv "$fresh" "$DIR"
fi
printf '%s\n' "$PWD/$DIR/usr/sbin/nginx"
