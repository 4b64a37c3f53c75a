#!/usr/bin/env bash
# Measures everything that the README's table shows: release build, a private Redis that is emptied before each run, each
# figure the median of several, and beside it the limit: what Redis, or SQLite itself, gives in the same minute on the same
# machine for the least that has the same effect. SQLite's file lies in $TMPDIR.
#
#   Benchmarks/run.sh [--runs N] [BENCHMARK…]     benchmarks: process enqueue through latency due idle growth payload sqlite;
#                                                 all if none is named
set -euo pipefail
cd "$(dirname "$0")"
export SWIFT_DETERMINISTIC_HASHING=1
# As a server is deployed: with all of Swift in the program.
options=(-c release)
[ "$(uname)" != Linux ] || options+=(--static-swift-stdlib)

if [ -z "${ASYNQ_BENCH_REDIS:-}" ]; then
  swift build "${options[@]}" --product asynq-bench >&2
  export ASYNQ_BENCH_REDIS=1
  exec ../scripts/with-redis.sh "./$(basename "$0")" "$@"
fi

runs=5
if [ "${1:-}" = --runs ]; then runs=$2; shift 2; fi
wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(process enqueue through latency due idle growth payload sqlite)
program="$(swift build "${options[@]}" --show-bin-path)/asynq-bench"
port=${REDIS_URL##*:}

# The least that has the effect of an operation, as scripts, with redis-benchmark as the load; messages of 150 bytes. Prints
# tasks a second.
#   one        enqueue, one task a script, 32 scripts on their way on each of 50 connections
#   hundred    enqueue, 100 tasks a script
#   process    dequeue and end, 32 tasks a script: state, list of the active, lease, counter
#   million    the same with a million waiting: what lies in no cache takes Redis longer
#   single     one script after the other on one connection
limit() {
  local message script n=100000 tasks=1 load=(-c 50 -P 32)
  message=$(printf '%0150d' 0)
  local enqueue='local n = tonumber(ARGV[2]) for i = 1, n do local id = redis.call("INCR", "limit:id")
    redis.call("HSET", "limit:t:" .. id, "msg", ARGV[1], "state", "pending") redis.call("LPUSH", "limit:pending", id) end'
  case $1 in
    one) script=$enqueue ;;
    single) script=$enqueue load=(-c 1 -P 1) n=20000 ;;
    hundred) script=$enqueue tasks=100 n=3000 load=(-c 50 -P 1) ;;
    process | million)
      tasks=32 n=$((100000 / 32)) load=(-c 4 -P 1)
      for _ in $(seq "$([ "$1" = million ] && echo 10 || echo 1)"); do
        redis-cli -p "$port" eval "$enqueue" 0 "$message" 100000 >/dev/null
      done
      script='local ids = redis.call("RPOP", "limit:pending", ARGV[2]) if not ids then return end
        local keys, tasks, leases = {}, {}, {}
        for i, id in ipairs(ids) do keys[i] = "limit:t:" .. id tasks[i] = redis.call("HGET", keys[i], "msg")
          redis.call("HSET", keys[i], "state", "active") leases[2 * i - 1] = "1" leases[2 * i] = id end
        redis.call("LPUSH", "limit:active", unpack(ids)) redis.call("ZADD", "limit:lease", unpack(leases))
        redis.call("LTRIM", "limit:active", #ids, -1) redis.call("ZREM", "limit:lease", unpack(ids))
        redis.call("DEL", unpack(keys)) redis.call("INCRBY", "limit:processed", #ids) return tasks' ;;
  esac
  local sha rate
  sha=$(redis-cli -p "$port" script load "$script")
  rate=$(redis-benchmark -p "$port" "${load[@]}" -n "$n" -q evalsha "$sha" 0 "$message" "$tasks" 2>/dev/null |
    tr '\r' '\n' | sed -nE 's/.*: ([0-9]+).* requests per second.*/\1/p' | tail -n 1)
  echo $((rate * tasks))
}

# measure NAME LIMIT FIELD ARGUMENT…: prints the median of the runs, and beside it that of a limit; of none if that is "-".
measure() {
  local name=$1 kind=$2 field=$3 values=() limits=() line value most ratio=
  shift 3
  for _ in $(seq "$runs"); do
    if [ "$kind" != - ]; then
      redis-cli -p "$port" flushall >/dev/null
      limits+=("$(limit "$kind")")
    fi
    redis-cli -p "$port" flushall >/dev/null
    line=$("$program" "$@" --redis "$REDIS_URL" | tail -n 1)
    echo "$line" >&2
    values+=("$(sed -nE "s/.*\"$field\":(-?[0-9.]+).*/\1/p" <<<"$line")")
  done
  value=$(median "${values[@]}")
  if [ "$kind" != - ]; then
    most=$(median "${limits[@]}")
    ratio="limit $most ($kind)  ratio $(awk "BEGIN { printf \"%.2f\", $value / $most }")"
  fi
  printf '%-36s median %12s %-20s %s\n' "$name" "$value" "$field" "$ratio"
}

# raw ROWS: what SQLite itself gives in transactions of so many rows: "inserts/s claims/s".
raw() {
  "$program" raw-sqlite "$folder/raw.db" -n 100000 --batch "$1" |
    sed -nE 's/.*"tasks_per_second":([0-9]+).*/\1/p' | paste -sd ' '
}

# measure_sqlite NAME FIELD ROWS ARGUMENT…: the same with a new file each time, beside raw transactions of so many rows; of
# none if that is 0.
measure_sqlite() {
  local name=$1 field=$2 rows=$3 values=() inserts=() claims=() line insert claim folder limit=
  shift 3
  for _ in $(seq "$runs"); do
    folder=$(mktemp -d)
    if [ "$rows" -gt 0 ]; then
      read -r insert claim < <(raw "$rows")
      inserts+=("$insert") claims+=("$claim")
    fi
    line=$("$program" "$@" --broker "sqlite:$folder/tasks.db" | tail -n 1)
    rm -rf "$folder"
    echo "$line" >&2
    values+=("$(sed -nE "s/.*\"$field\":([0-9.]+).*/\1/p" <<<"$line")")
  done
  [ "$rows" -eq 0 ] ||
    limit="raw SQLite, $rows a transaction: $(median "${inserts[@]}") inserts/s, $(median "${claims[@]}") claims/s"
  printf '%-32s median %12s %-18s %s\n' "$name" "$(median "${values[@]}")" "$field" "$limit"
}
median() { printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for benchmark in "${wanted[@]}"; do
  case $benchmark in
    process)
      measure "process, concurrency 10" process tasks_per_second process --concurrency 10
      measure "process, concurrency 100" process tasks_per_second process --concurrency 100
      measure "process, concurrency 1000" process tasks_per_second process --concurrency 1000
      measure "process, 100 queues" - tasks_per_second process --concurrency 100 --queues 100
      measure "process, 8 servers" - tasks_per_second process --concurrency 800 --servers 8
      measure "cpu of 100 000 tasks" - cpu_seconds_per_100k process --concurrency 100
      measure "memory, concurrency 100" - peak_rss_mib process --concurrency 100
      measure "memory, concurrency 10 000" - peak_rss_mib process --concurrency 10000 ;;
    enqueue)
      measure "enqueue, 1 caller" single tasks_per_second enqueue -c 1 -n 30000
      measure "enqueue, 1, at the connection" single tasks_per_second enqueue -c 1 -n 30000 --on-connection
      measure "enqueue, 50 callers" one tasks_per_second enqueue -c 50
      measure "enqueue, batches of 100" hundred tasks_per_second enqueue -c 1 --batch 100
      measure "enqueue, 10 callers, of 100" hundred tasks_per_second enqueue -c 10 --batch 100 -n 300000 ;;
    through)
      measure "50 producers and a server" - tasks_per_second through -c 50
      measure "200 producers and a server" - tasks_per_second through -c 200
      measure "… p99 at 25 000 tasks/s" - p99_ms through --rate 25000 ;;
    latency)
      measure "pick-up, p50" - p50_ms latency
      measure "pick-up, p99" - p99_ms latency
      measure "pick-up, 100 queues, p99" - p99_ms latency --queues 100
      measure "pick-up, 20 idle servers, p99" - p99_ms latency --servers 20 ;;
    due)
      measure "due alone, late, p99" - p99_ms due -n 1000
      measure "full group, p99" - p99_ms groups ;;
    idle) measure "idle, commands to Redis" - commands_per_second idle ;;
    growth)
      measure "process, 10 k waiting" process tasks_per_second growth --backlogs 10000 --active 0
      measure "process, 1 M waiting" million tasks_per_second growth --backlogs 1000000 --active 0
      measure "process, 10 k active elsewhere" process tasks_per_second growth --backlogs 10000 --active 10000 ;;
    payload)
      measure "process, payloads of 10 KiB" - mib_per_second process -n 20000 --concurrency 100 --payload-bytes 10240
      measure "process, payloads of 1 MiB" - mib_per_second process -n 400 --concurrency 10 --payload-bytes 1048576 ;;
    sqlite)
      measure_sqlite "sqlite: enqueue, 1 caller" tasks_per_second 1 enqueue -c 1
      measure_sqlite "sqlite: enqueue, 50 callers" tasks_per_second 1 enqueue -c 50
      measure_sqlite "sqlite: enqueue, batches of 100" tasks_per_second 100 enqueue -c 50 --batch 100 -n 300000
      measure_sqlite "sqlite: process, concurrency 10" tasks_per_second 100 process --concurrency 10
      measure_sqlite "sqlite: memory, concurrency 10" peak_rss_mib 0 process --concurrency 10
      measure_sqlite "sqlite: pick-up, p50" p50_ms 0 latency --shared
      measure_sqlite "sqlite: elsewhere, p50" p50_ms 0 latency
      measure_sqlite "sqlite: idle, % of a core" cpu_percent 0 idle
      measure_sqlite "sqlite: process, 10 k waiting" tasks_per_second 0 growth --backlogs 10000 --active 0
      measure_sqlite "sqlite: process, 1 M waiting" tasks_per_second 0 growth --backlogs 1000000 --active 0 ;;
    *) echo "no such benchmark: $benchmark" >&2; exit 64 ;;
  esac
done
