#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds rule.wasm from the Go files of this folder and packs manifest.json into
# it. It needs Go 1.24 or later and the nearside command; NEARSIDE names another
# than that of PATH.
set -eu
cd "$(dirname "$0")"

GOOS=wasip1 GOARCH=wasm GOWORK=off go build -buildmode=c-shared -trimpath -ldflags='-s -w -buildid=' -o rule.wasm ./*.go
"${NEARSIDE:-nearside}" module pack --manifest manifest.json rule.wasm
