#!/usr/bin/env bash
# Installs what the tests need and is not here: a browser, the compilers of the
# guest modules, Node for AssemblyScript, and fonts for the shop's languages; with
# "bench" what the benches measure beside: nginx with its Lua and GeoIP2 modules.
# Says nothing and does nothing if all of it is here.
set -euo pipefail

missing=()

# need PACKAGE COMMAND... adds the package unless one of the commands is here.
need() {
  local package=$1 command
  shift
  for command; do
    if command -v "$command" >/dev/null; then return; fi
  done
  missing+=("$package")
}

# has FILE PACKAGE adds the package unless the file is here.
has() { if [ ! -e "$1" ]; then missing+=("$2"); fi; }

tests() {
  need chromium chromium chromium-browser google-chrome google-chrome-stable headless-shell
  need firefox-esr firefox-esr firefox
  need webkit2gtk-driver WebKitWebDriver
  need xvfb Xvfb
  need clang-14 clang-14
  need lld-14 wasm-ld-14
  # Debian's rustc: another version gives other bytes, and another place has no
  # library for WebAssembly.
  has /usr/bin/rustc rustc
  has /usr/lib/rustlib/wasm32-unknown-unknown/lib libstd-rust-dev-wasm32
  need nodejs node
  need npm npm
  for font in fonts-noto-core fonts-noto-cjk; do
    if command -v dpkg-query >/dev/null && ! dpkg-query -W "$font" >/dev/null 2>&1; then
      missing+=("$font")
    fi
  done
}

bench() {
  need util-linux taskset
  has /usr/sbin/nginx nginx-light
  local modules=/usr/lib/nginx/modules
  has $modules/ngx_http_lua_module.so libnginx-mod-http-lua
  has $modules/ngx_http_geoip2_module.so libnginx-mod-http-geoip2
  if ! compgen -G '/usr/lib/*/lua/5.1/cjson.so' >/dev/null; then missing+=(lua-cjson); fi
}

case "${1:-tests}" in
tests | bench) "${1:-tests}" ;;
*)
  echo "deps: say tests or bench, not $1" >&2
  exit 2
  ;;
esac

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if ! command -v apt-get >/dev/null; then
  echo "deps: not here, and there is no apt-get to install it with: ${missing[*]} (Debian's names)" >&2
  exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "deps: as root, run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
  # Without a terminal nobody can type a password.
  if [ ! -t 0 ]; then as_root=(sudo --non-interactive); fi
fi

# apt ARGUMENT... runs apt-get, which asks nothing and is shown only if it fails.
apt() {
  local said
  if ! said=$("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet "$@" </dev/null 2>&1); then
    echo "$said" >&2
    return 1
  fi
}

echo "deps: installing ${missing[*]}"
apt update
available=()
for package in "${missing[@]}"; do
  if apt-cache show "$package" >/dev/null 2>&1; then
    available+=("$package")
  else
    echo "deps: no package $package in this distribution; what needs it will be skipped or fail"
  fi
done
if [ ${#available[@]} -gt 0 ]; then
  apt install --no-install-recommends "${available[@]}"
fi
