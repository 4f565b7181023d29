#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds rule.wasm from rule.ts and packs manifest.json into it. It needs Node
# 18 or later, npm and the nearside command; NEARSIDE names another than that of
# PATH. The first time npm fetches the compiler that package.json names.
set -eu
cd "$(dirname "$0")"

if [ ! -e node_modules/assemblyscript ]; then npm install --silent --prefer-offline --no-audit --no-fund --no-package-lock; fi

# Without abort a failed assertion is a trap and the module needs no import.
node node_modules/assemblyscript/bin/asc.js rule.ts -O3 --converge --runtime stub --use abort= \
  --exportStart _initialize -o rule.wasm
"${NEARSIDE:-nearside}" module pack --manifest manifest.json rule.wasm
