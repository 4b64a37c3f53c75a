#!/usr/bin/env bash
# Installs a built asynq, its manual page and its completions under a folder, /usr/local for example. What is there already is
# replaced at once: whoever runs it goes on with the old one.
#
#   scripts/install.sh ASYNQ PREFIX
set -euo pipefail
program=$1 prefix=$2
man="$prefix/share/man/man1/asynq.1"
bash="$prefix/share/bash-completion/completions/asynq"
zsh="$prefix/share/zsh/site-functions/_asynq"
fish="$prefix/share/fish/vendor_completions.d/asynq.fish"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$program" manual >"$folder/asynq.1"
for shell in bash zsh fish; do "$program" completions "$shell" >"$folder/$shell"; done
mkdir -p "$prefix/bin"
install -m 755 "$program" "$prefix/bin/asynq.new"
# Names of functions stay, for a crash's backtrace.
[ "$(uname)" != Linux ] || strip --strip-debug "$prefix/bin/asynq.new"
mv "$prefix/bin/asynq.new" "$prefix/bin/asynq"
put() { mkdir -p "$(dirname "$2")" && install -m 644 "$1" "$2"; }
put "$folder/asynq.1" "$man"
for shell in bash zsh fish; do put "$folder/$shell" "${!shell}"; done
echo "installed $prefix/bin/asynq, its manual page and its completions for bash, zsh and fish"
case ":$PATH:" in
  *":$prefix/bin:"*) ;;
  *) echo "$prefix/bin is not in PATH: call it with its path, or add that folder" ;;
esac
