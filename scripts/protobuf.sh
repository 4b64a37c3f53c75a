#!/usr/bin/env bash
# Generates Sources/AsynqRedis/Messages/asynq.pb.swift from asynq.proto.
set -euo pipefail
cd "$(dirname "$0")/../Sources/AsynqRedis/Messages"
for tool in protoc protoc-gen-swift; do
  if ! command -v $tool >/dev/null; then
    echo "$tool is not on the PATH. protoc: apt-get install protobuf-compiler libprotobuf-dev." >&2
    echo "protoc-gen-swift: swift build -c release --product protoc-gen-swift in a clone of apple/swift-protobuf." >&2
    exit 1
  fi
done
protoc --swift_out=. --swift_opt=Visibility=Package --swift_opt=UseAccessLevelOnImports=true asynq.proto
