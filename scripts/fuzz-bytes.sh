#!/usr/bin/env bash
# Feeds bytes that somebody else may have made to what reads them, with libFuzzer: each target for so many seconds, two at a
# time. Begins with Fuzzing/Corpus; what it finds lies in .build/fuzz/TARGET/found, and what it has learned beside it.
#
#     scripts/fuzz-bytes.sh SECONDS [TARGET…]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?how many seconds for each target}
shift
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=(resp message uri cron duration)

export ASYNQ_FUZZ=1
swift build --product AsynqFuzz
# libFuzzer has the main function, so that it is linked here.
folder=.build/fuzz
mkdir -p "$folder"
swiftc -sanitize=fuzzer "$(swift build --show-bin-path)/libAsynqFuzz.a" -lstdc++ -o "$folder/AsynqFuzz"

run() {
  local target=$1 place=$folder/$1
  mkdir -p "$place/corpus" "$place/found"
  # Without Swift's own backtrace, which would keep libFuzzer from writing down the input.
  if SWIFT_BACKTRACE=enable=no ASYNQ_FUZZ_TARGET=$target "$folder/AsynqFuzz" "$place/corpus" "Fuzzing/Corpus/$target" \
    -artifact_prefix="$place/found/" -max_total_time="$seconds" -timeout=10 -malloc_limit_mb=64 -rss_limit_mb=1024 \
    -max_len=4096 -print_final_stats=1 > "$place/log" 2>&1; then
    echo "$target: $(awk '/number_of_executed_units/ { print $2 }' "$place/log") inputs, nothing found"
  else
    tail -n 40 "$place/log"
    echo "$target: see $place/found" >&2
    return 1
  fi
}
status=0
for ((first = 0; first < ${#targets[@]}; first += 2)); do
  jobs=()
  for target in "${targets[@]:first:2}"; do
    run "$target" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job" || status=1; done
done
exit $status
