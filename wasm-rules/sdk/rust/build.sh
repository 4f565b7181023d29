#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds rule.wasm from rule.rs and packs manifest.json into it. It needs rustc
# with its library for WebAssembly (Debian: rustc, libstd-rust-dev-wasm32; from
# rustup: rustup target add wasm32-unknown-unknown) and the nearside command;
# RUSTC and NEARSIDE name others than the usual ones.
set -eu
cd "$(dirname "$0")"

if [ -z "${RUSTC:-}" ]; then
  # Debian's knows its library, also beside another one in PATH.
  if [ -x /usr/bin/rustc ]; then RUSTC=/usr/bin/rustc; else RUSTC=rustc; fi
fi

# A small stack, which rustc puts first: it overflows into a trap, not into data,
# and the module needs one page of memory and not seventeen.
"$RUSTC" --target=wasm32-unknown-unknown --crate-type=cdylib --edition=2021 -O \
  -Cpanic=abort -Clto -Ccodegen-units=1 -Cstrip=symbols -Clink-arg=-zstack-size=8192 \
  -o rule.wasm rule.rs
"${NEARSIDE:-nearside}" module pack --manifest manifest.json rule.wasm
