#!/usr/bin/env bash
# Makes the Python environment that the container files are checked with, and prints the path of its interpreter.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The list is complete. By what docker-compose 1.29.2 says of itself, it would need a YAML library that can't be built any more.
PIP_NO_DEPS=1 exec scripts/lib/python-env.sh container-tools crates/e2e/python/containers.txt
