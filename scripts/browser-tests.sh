#!/usr/bin/env bash
# Runs the tests of the dashboard in a headless Chromium, against the built programs. Arguments go to pytest.
# Needs python3-venv, chromium and redis-server; ASYNQ_BIN names the folder of the programs when it is not .build/debug.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in python3 redis-server; do
    command -v "$tool" > /dev/null || { echo "browser-tests: there is no $tool" >&2; exit 1; }
done
venv=${BROWSER_TESTS_VENV:-.build/browser-tests}
if [ ! -x "$venv/bin/pytest" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check playwright pytest
fi
command -v "${CHROMIUM:-chromium}" > /dev/null || "$venv/bin/playwright" install chromium
export ASYNQ_BIN=${ASYNQ_BIN:-$(pwd)/.build/debug}
for program in asynq TestWorker; do
    [ -x "$ASYNQ_BIN/$program" ] || { echo "browser-tests: there is no $ASYNQ_BIN/$program; run swift build --build-tests" >&2; exit 1; }
done
export PYTHONDONTWRITEBYTECODE=1
exec "$venv/bin/pytest" -q -p no:cacheprovider Tests/Browser "$@"
