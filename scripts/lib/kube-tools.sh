#!/usr/bin/env bash
# Makes the Python environment that rendered manifests are checked with, and prints the path of its interpreter.
set -euo pipefail
cd "$(dirname "$0")/../.."

exec scripts/lib/python-env.sh kube-tools crates/e2e/python/kubernetes.txt
