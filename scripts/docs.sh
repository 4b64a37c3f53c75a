#!/usr/bin/env bash
# Builds the documentation of Asynq into .build/docs, and fails on whatever DocC warns of: a symbol, page or link that does
# not exist. The folder can be served by any web server: `python3 -m http.server -d .build/docs`, then /documentation/asynq.
set -euo pipefail
cd "$(dirname "$0")/.."
export ASYNQ_DOCS=1
rm -rf .build/docs
mkdir -p .build/docs
swift package --allow-writing-to-directory .build/docs \
  generate-documentation --target Asynq --output-path .build/docs \
  --warnings-as-errors --transform-for-static-hosting
echo "the documentation is in .build/docs"
