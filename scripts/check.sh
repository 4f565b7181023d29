#!/usr/bin/env bash
# Checks the repository: format, vet, lint, types, and that built and generated
# files are what their sources give. It looks at the files as they are, committed
# or not, and changes none. All checks run; it fails if one of them does.
set -uo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# check NAME COMMAND... runs a command, which is quoted only if it fails.
check() {
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$scratch/said" 2>&1 </dev/null; then
    printf '%-10s ok %4ds\n' "$name" $((SECONDS - start))
  else
    printf '%-10s FAILED\n' "$name"
    sed 's/^/    /' "$scratch/said"
    failed=1
  fi
}

# ours [PATTERN...] lists our files, committed or not.
ours() {
  git ls-files --cached --others --exclude-standard --deduplicate -- "$@" |
    while read -r file; do if [ -f "$file" ]; then echo "$file"; fi; done
}

format() {
  local wrong
  wrong=$(ours '*.go' | xargs gofmt -l) || return
  if [ -n "$wrong" ]; then
    echo "make fmt would change $wrong"
    return 1
  fi
}

readme() {
  local lines
  lines=$(wc -l <README.md) || return
  if [ "$lines" -gt 200 ]; then
    echo "README.md has $lines lines of 200; depth goes to docs/"
    return 1
  fi
}

# generated makes everything anew in a copy, so that a difference is found
# whatever is committed, and nothing is overwritten.
generated() {
  mkdir "$scratch/before" &&
    ours | tar --create --files-from=- | tar --extract --directory="$scratch/before" &&
    cp --archive "$scratch/before" "$scratch/after" || return
  (cd "$scratch/after" && go generate ./... && go run ./tag/build) || return
  if ! (cd "$scratch" && diff --recursive --brief before after); then
    echo "make generate tag gives other files than are here"
    return 1
  fi
}

guests() { go run ./wasm-rules/build -check; }

# types checks the tag in a second or two either way, and the checker itself
# builds in half the time without optimisation: minutes on a fresh machine.
types() {
  local checker=github.com/microsoft/typescript-go
  go run -modfile=tools.mod -gcflags="$checker/...=-N -l" "$checker/cmd/tsgo" -p tag
}

# benches are modules of their own, whose peers nothing else compiles.
benches() {
  local module
  for module in bench bench/zones; do
    (cd "$module" && go vet ./... && go mod tidy -diff) || return
  done
}

lint() { go tool -modfile=tools.mod golangci-lint run; }

check format format
check readme readme
check vet go vet ./...
check modules go mod tidy -diff
check benches benches
check generated generated
if command -v clang-14 >/dev/null && command -v wasm-ld-14 >/dev/null && [ -e /usr/lib/rustlib/wasm32-unknown-unknown/lib ]; then
  check guests guests
else
  # Another clang or rustc gives other bytes.
  echo "guests     SKIPPED: only clang-14, lld-14 and Debian's rustc give the committed bytes, and they are not here"
fi
check types types
check lint lint
exit $failed
