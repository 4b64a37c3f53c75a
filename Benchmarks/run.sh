#!/usr/bin/env bash
# Measures everything that the README's table shows: release build, a private Redis that is emptied before each run, each
# figure the median of three, and beside it what redis-benchmark gives in the same minute on the same machine.
#
#   Benchmarks/run.sh [--runs N] [BENCHMARK…]     benchmarks: process enqueue latency growth; all if none is named
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
[ ${#wanted[@]} -gt 0 ] || wanted=(process enqueue latency growth)
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
    *) echo "no such benchmark: $benchmark" >&2; exit 64 ;;
  esac
done
