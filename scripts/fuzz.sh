#!/usr/bin/env bash
# Runs every fuzz target for a while. Arguments: the time for each (30s), then
# packages (./...). What a target finds is written to its package's testdata.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-30s}
shift || true
failed=0
# An input that reaches something new is made smaller for a minute by default,
# in which nothing else is tried.
for package in $(go list "${@:-./...}"); do
  for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    echo "== $package $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 2s "$package" || failed=1
  done
done
exit $failed
