#!/usr/bin/env bash
# Makes the Python environment of the test client, and prints the path of its interpreter.
set -euo pipefail
cd "$(dirname "$0")/../.."

exec scripts/lib/python-env.sh python-client crates/e2e/python/requirements.txt
