#!/usr/bin/env bash
# Does what the README tells a newcomer to do, word by word, in an empty folder: makes a package that depends on this one,
# builds it and runs it. Fails if that compiles more than a client and its broker need.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
folder=$(mktemp -d)
program=
trap '[ -z "$program" ] || kill "$program" 2>/dev/null || true; rm -rf "$folder"' EXIT

# The package is known by the name of its folder.
ln -s "$root" "$folder/swift-asynq"
mkdir -p "$folder/hello/Sources/hello"
cd "$folder/hello"
python3 - "$root/README.md" <<'PYTHON'
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
blocks = re.findall(r"```swift\n(.*?)```", text, re.S)
[package] = [block for block in blocks if "swift-tools-version" in block]
[program] = [block for block in blocks if "@main" in block]
package, count = re.subn(r'\.package\(url: "[^"]*/swift-asynq"[^)]*\)', '.package(path: "../swift-asynq")', package)
if count != 1:
    sys.exit("consumer: the README's Package.swift names no URL of this package")
open("Package.swift", "w").write(package)
open("Sources/hello/Hello.swift", "w").write(program)
PYTHON

# A user has no warnings turned into errors.
unset ASYNQ_STRICT
start=$SECONDS
swift build 2>&1 | tail -n 3
echo "consumer: built in $((SECONDS - start)) s"

built=$(cd .build/debug/Modules && ls -d ./*.swiftmodule | sed -E 's,^\./(.*)\.swiftmodule$,\1,' | sort)
for unwanted in RedisClient AsynqRedis AsynqTesting AsynqDashboard AsynqCLI Hummingbird ArgumentParser NIOPosix SwiftProtobuf Yams; do
  if grep -qx "$unwanted" <<<"$built"; then
    echo "consumer: a program with Asynq and AsynqSQLite compiles $unwanted too" >&2
    exit 1
  fi
done
echo "consumer: compiled $(wc -l <<<"$built") modules: $(tr '\n' ' ' <<<"$built")"

.build/debug/hello >out 2>err &
program=$!
for _ in $(seq 300); do
  grep -q "sending hello to user 42, attempt 1" out && break
  kill -0 "$program" 2>/dev/null || break
  sleep 0.1
done
kill -INT "$program" 2>/dev/null || true
status=0
wait "$program" || status=$?
program=
if ! grep -q "sending hello to user 42, attempt 1" out || [ "$status" -ne 0 ]; then
  echo "consumer: the README's program did not run its task (exit status $status):" >&2
  cat out err >&2
  exit 1
fi
echo "consumer: the README's program ran its task"
