#!/usr/bin/env bash
# Two minutes of faults on each topology, side by side, and the time that it takes until all is worked off.
#
#   scripts/chaos-ci.sh PATH-OF-CHAOS
set -uo pipefail
chaos=$1
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
declare -A runs
for topology in standalone sentinel cluster; do
    "$chaos" --topology "$topology" --seed 7 --minutes 2 --rate 400 > "$logs/$topology" 2>&1 &
    runs[$topology]=$!
done
status=0
for topology in standalone sentinel cluster; do
    wait "${runs[$topology]}" || status=1
    echo "== chaos: $topology"
    cat "$logs/$topology"
done
tasks=$(sed -nE 's/^tasks +([0-9]+) .*/\1/p' "$logs"/* | awk '{ sum += $1 } END { print sum + 0 }')
echo "== chaos: $tasks tasks in all"
[ "$tasks" -ge 100000 ] || { echo "fewer than 100000 tasks: the machine is too slow for this" >&2; status=1; }
exit $status
