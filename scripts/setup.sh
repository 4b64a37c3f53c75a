#!/usr/bin/env bash
# setup.sh [build] [tests] [web]: installs what the build, the tests or those in a browser need and this machine lacks. Does nothing, and asks no
# network, if all is there.
set -euo pipefail

missing=()
for part in "$@"; do
  case $part in
    build)
      # SQLite's header: asked of the compiler, which knows where this system has it.
      echo '#include <sqlite3.h>' | clang -E - >/dev/null 2>&1 || missing+=(libsqlite3-dev) ;;
    tests)
      command -v redis-server >/dev/null || missing+=(redis-server)
      command -v redis-cli >/dev/null || missing+=(redis-tools)
      command -v openssl >/dev/null || missing+=(openssl)
      command -v tmux >/dev/null || missing+=(tmux) ;;
    web)
      command -v chromium >/dev/null || missing+=(chromium)
      command -v tsc >/dev/null || missing+=(node-typescript)
      python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv) ;;
    *) echo "usage: setup.sh [build] [tests] [web]" >&2; exit 64 ;;
  esac
done

if ! command -v swift >/dev/null; then
  echo "swift is not on the PATH: install Swift 6.2 or later from https://www.swift.org/install" >&2
  exit 1
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "please install these yourself, they are missing: ${missing[*]} (macOS: brew install redis openssl tmux)" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "these are missing, and there is no sudo to install them with: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
# The package starts a server of its own otherwise, on a port that this project does not use.
"${as_root[@]}" env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
