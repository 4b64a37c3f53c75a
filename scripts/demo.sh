#!/usr/bin/env bash
# The quickstart, built before, against a private Redis.
set -euo pipefail
cd "$(dirname "$0")/.."
program="$(swift build --show-bin-path)/Quickstart"
scripts/with-redis.sh "$program"
