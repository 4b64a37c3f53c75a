#!/usr/bin/env bash
# Runs the tests of the dashboard in a headless Chromium, against the built programs. Arguments go to pytest; without any,
# each test that is written must have passed.
# Needs python3-venv, chromium and redis-server; ASYNQ_BIN names the folder of the programs when it is not .build/debug.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in python3 redis-server; do
    command -v "$tool" > /dev/null || { echo "browser-tests: there is no $tool" >&2; exit 1; }
done
venv=${BROWSER_TESTS_VENV:-.build/browser-tests}
wanted=Tests/Browser/requirements.txt
if ! cmp -s "$wanted" "$venv/requirements.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/requirements.txt"
fi
command -v "${CHROMIUM:-chromium}" > /dev/null || "$venv/bin/python" -m playwright install chromium
export ASYNQ_BIN=${ASYNQ_BIN:-$(pwd)/.build/debug}
for program in asynq TestWorker; do
    [ -x "$ASYNQ_BIN/$program" ] || { echo "browser-tests: there is no $ASYNQ_BIN/$program; run swift build --build-tests" >&2; exit 1; }
done
export PYTHONDONTWRITEBYTECODE=1
run() { "$venv/bin/python" -m pytest -p no:cacheprovider Tests/Browser "$@"; }
[ $# -eq 0 ] || { run -q "$@"; exit; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run -q -rp | tee "$log"
missing=$(comm -23 <(sed -nE 's/^def (test_[A-Za-z0-9_]+).*/\1/p' Tests/Browser/test_*.py | sort -u) \
    <(sed -nE 's/^PASSED .*::(test_[A-Za-z0-9_]+).*/\1/p' "$log" | sort -u))
[ -z "$missing" ] || { echo "browser-tests: written, and did not pass:" $missing >&2; exit 1; }
