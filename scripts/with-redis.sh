#!/usr/bin/env bash
# with-redis.sh COMMAND…: runs a command with REDIS_URL set to a private Redis on a free loopback port, which is stopped
# afterwards, whatever happens. The status is the command's.
set -euo pipefail

folder=$(mktemp -d)
server=
stop() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

# A port may be taken: then redis-server ends at once, and another is tried.
for attempt in $(seq 20); do
  port=$((20000 + RANDOM % 20000))
  redis-server --port "$port" --bind 127.0.0.1 --save "" --dir "$folder" --logfile "$folder/redis.log" &
  server=$!
  for _ in $(seq 100); do
    grep -q "Ready to accept connections" "$folder/redis.log" 2>/dev/null && break 2
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
  done
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
  rm -f "$folder/redis.log"
done
if [ -z "$server" ]; then
  echo "redis-server did not start" >&2
  exit 1
fi
export REDIS_URL="redis://127.0.0.1:$port"
"$@"
