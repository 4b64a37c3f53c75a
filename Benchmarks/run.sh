#!/usr/bin/env bash
# Measures everything that the README's table shows: release build, a private Redis that is emptied before each run, each
# figure the median of three, and beside it what redis-benchmark, or SQLite itself, gives in the same minute on the same
# machine. SQLite's file lies in $TMPDIR.
#
#   Benchmarks/run.sh [--runs N] [BENCHMARK…]     benchmarks: process enqueue latency growth sqlite; all if none is named
set -euo pipefail
cd "$(dirname "$0")"
export SWIFT_DETERMINISTIC_HASHING=1

if [ -z "${ASYNQ_BENCH_REDIS:-}" ]; then
  swift build -c release --product asynq-bench >&2
  export ASYNQ_BENCH_REDIS=1
  exec ../scripts/with-redis.sh "./$(basename "$0")" "$@"
fi

runs=3
if [ "${1:-}" = --runs ]; then runs=$2; shift 2; fi
wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(process enqueue latency growth sqlite)
program="$(swift build -c release --show-bin-path)/asynq-bench"
port=${REDIS_URL##*:}

limit() {
  redis-benchmark -p "$port" -t lpush -P 1 -c 50 -n 100000 -q 2>/dev/null | tr '\r' '\n' |
    sed -nE 's/.*: ([0-9]+).* requests per second.*/\1/p' | tail -n 1
}

# measure NAME FIELD ARGUMENT…: prints the runs, and their medians.
measure() {
  local name=$1 field=$2 values=() limits=() line
  shift 2
  for _ in $(seq "$runs"); do
    redis-cli -p "$port" flushall >/dev/null
    limits+=("$(limit)")
    redis-cli -p "$port" flushall >/dev/null
    line=$("$program" "$@" --redis "$REDIS_URL" | tail -n 1)
    echo "$line" >&2
    values+=("$(sed -nE "s/.*\"$field\":([0-9.]+).*/\1/p" <<<"$line")")
  done
  printf '%-32s median %12s %-18s redis-benchmark lpush -P 1 -c 50: %s/s\n' \
    "$name" "$(median "${values[@]}")" "$field" "$(median "${limits[@]}")"
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
      measure "process, concurrency 10" tasks_per_second process --concurrency 10
      measure "process, concurrency 100" tasks_per_second process --concurrency 100
      measure "memory, concurrency 100" peak_rss_mib process --concurrency 100 ;;
    enqueue)
      measure "enqueue, 50 callers" tasks_per_second enqueue -c 50
      measure "enqueue, batches of 100" tasks_per_second enqueue -c 50 --batch 100 ;;
    latency)
      measure "pick-up, p50" p50_ms latency
      measure "pick-up, p99" p99_ms latency ;;
    growth)
      measure "process, 10 k waiting" tasks_per_second growth --backlogs 10000 --active 0
      measure "process, 1 M waiting" tasks_per_second growth --backlogs 1000000 --active 0
      measure "process, 10 k active elsewhere" tasks_per_second growth --backlogs 10000 --active 10000 ;;
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
