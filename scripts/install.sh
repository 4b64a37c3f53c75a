#!/usr/bin/env bash
# Installs a built asynq, its manual page and its completions under a folder, /usr/local for example; with DESTDIR, as it is to
# be there later, under that. What is there already is replaced at once: whoever runs it goes on with the old one.
#
#   [DESTDIR=…] scripts/install.sh ASYNQ PREFIX
set -euo pipefail
program=$1 prefix=$2
root="${DESTDIR:-}$prefix"
if ! mkdir -p "$root/bin" 2>/dev/null || [ ! -w "$root/bin" ]; then
  echo "you may not write to $root/bin. Choose another folder, as in PREFIX=\$HOME/.local, or run this:" >&2
  echo "sudo $0 $program $prefix" >&2
  exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder" "$root/bin/asynq.new"' EXIT
put() { mkdir -p "$(dirname "$3")" && install -m "$1" "$2" "$3"; }

cp "$program" "$folder/asynq"
# Names of functions stay, for a crash's backtrace.
[ "$(uname)" != Linux ] || strip --strip-debug "$folder/asynq"
"$program" manual >"$folder/asynq.1"
for shell in bash zsh fish; do "$program" completions "$shell" >"$folder/$shell"; done

put 755 "$folder/asynq" "$root/bin/asynq.new"
mv "$root/bin/asynq.new" "$root/bin/asynq"
put 644 "$folder/asynq.1" "$root/share/man/man1/asynq.1"
put 644 "$folder/bash" "$root/share/bash-completion/completions/asynq"
put 644 "$folder/zsh" "$root/share/zsh/site-functions/_asynq"
put 644 "$folder/fish" "$root/share/fish/vendor_completions.d/asynq.fish"
echo "installed $root/bin/asynq, its manual page and its completions for bash, zsh and fish"
[ -z "${DESTDIR:-}" ] || exit 0
case ":$PATH:" in
  *":$prefix/bin:"*) ;;
  *) echo "not in PATH yet: export PATH=$prefix/bin:\$PATH" ;;
esac
case $prefix in
  /usr | /usr/local) ;;
  *) echo "for zsh, before compinit in ~/.zshrc: fpath=($prefix/share/zsh/site-functions \$fpath)" ;;
esac
