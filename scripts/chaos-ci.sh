#!/usr/bin/env bash
# Faults on each topology, one after the other: a minute on SQLite, two on each of the others, at least 100 000 tasks in all.
# While what one has left is worked off, which is a minute of waiting for leases to end, the next one begins.
#
#   scripts/chaos-ci.sh PATH-OF-CHAOS [SEED]
set -uo pipefail
chaos=$1
seed=${2:-7}
logs=$(mktemp -d)
topologies=(sqlite standalone sentinel cluster)
declare -A runs
trap 'kill "${runs[@]}" 2>/dev/null; rm -rf "$logs"' EXIT
for topology in "${topologies[@]}"; do
    minutes=2
    [ "$topology" = sqlite ] && minutes=1
    : > "$logs/$topology"
    "$chaos" --topology "$topology" --seed "$seed" --minutes "$minutes" > "$logs/$topology" 2>&1 &
    runs[$topology]=$!
    while kill -0 "${runs[$topology]}" 2>/dev/null && ! grep -q '^waiting until all' "$logs/$topology"; do sleep 1; done
done
broken=
for topology in "${topologies[@]}"; do
    wait "${runs[$topology]}" || broken+=" $topology"
    unset "runs[$topology]"
    printf '== chaos: %s\n' "$topology"
    cat "$logs/$topology"
done
sum() { sed -nE "s/^$1 +([0-9]+).*/\1/p" "$logs"/* | awk '{ sum += $1 } END { print sum + 0 }'; }
tasks=$(sum tasks)
[ "$tasks" -ge 100000 ] || broken+=" (fewer than 100000 tasks: the machine is too slow for this)"
echo "== chaos: $tasks tasks, $(sum faults) faults, $(sum duplicates) duplicates, $(sum lost) lost, seed $seed:" \
    "${broken:+rules broken on}${broken:- all rules held}"
[ -z "$broken" ]
