#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds rule.wasm from rule.c and packs manifest.json into it. It needs clang
# and lld (Debian: clang-14, lld-14) and the nearside command; CC and NEARSIDE
# name others than those of PATH.
set -eu
cd "$(dirname "$0")"

if [ -z "${CC:-}" ]; then
  if command -v clang-14 >/dev/null; then CC=clang-14; else CC=clang; fi
fi

# The stack stands first so that it overflows into a trap, not into data.
"$CC" --target=wasm32 -O2 -std=c11 -nostdlib -ffreestanding -fno-builtin \
  -Wall -Wextra -Wno-unused-parameter \
  -Wl,--no-entry -Wl,--strip-all -Wl,--stack-first -Wl,-z,stack-size=8192 \
  -o rule.wasm rule.c
"${NEARSIDE:-nearside}" module pack --manifest manifest.json rule.wasm
