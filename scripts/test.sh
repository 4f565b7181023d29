#!/usr/bin/env bash
# Tests packages one at a time, for many tests wait for real time, and those that failed
# once more: a machine that others use may be slow at the wrong moment. What fails twice
# fails.
set -uo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -count=1 -p 1 "$@" | tee "$log" && exit 0
mapfile -t failed < <(awk -F '\t' '$1 == "FAIL" && $2 != "" {print $2}' "$log" | awk '{print $1}')
[ "${#failed[@]}" -gt 0 ] || exit 1
echo "once more: ${failed[*]}"
go test -count=1 -p 1 "${failed[@]}"
