#!/usr/bin/env bash
# What must hold of the files themselves: no build products, no machine's own paths, links that lead somewhere, and README
# code that is compiled.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
fail() { echo "check: $1" >&2; status=1; }

committed=$(git ls-files | grep -E '(^|/)(Package\.resolved$|\.build)' || true)
[ -z "$committed" ] || fail "build products are committed: $committed"

paths=$(git grep -nIE '(^|[^.A-Za-z0-9_/])/(work|farm|root|home)/' || true)
[ -z "$paths" ] || fail "paths of one machine: $paths"

targets=$(sed -nE 's/^([a-z-]+):.*/\1/p' Makefile | sort)
listed=$(make --no-print-directory help | awk '{ print $2 }' | sort)
[ "$targets" = "$listed" ] || fail "make help does not list every target: $(diff <(echo "$targets") <(echo "$listed"))"

# Links to files, relative to the page.
while IFS= read -r page; do
  while IFS= read -r link; do
    case "$link" in http://*|https://*|mailto:*|\#*) continue ;; esac
    [ -e "$(dirname "$page")/${link%%#*}" ] || fail "$page links to $link, which is not there"
  done < <(grep -oE '\]\([^) ]+\)' "$page" | sed -E 's/^\]\((.*)\)$/\1/')
done < <(git ls-files '*.md')

# Each block of README marked with a file must stand in that file, apart from its indentation.
python3 - <<'PYTHON' || status=1
import re, sys
text = open("README.md", encoding="utf-8").read()
blocks = re.findall(r"<!-- code: (\S+) -->\n```swift\n(.*?)```", text, re.S)
if not blocks:
    sys.exit("check: README.md has no code that is compared with a compiled file")
def lines(code):
    return [line.strip() for line in code.split("\n") if line.strip()]
for path, code in blocks:
    there, wanted = lines(open(path, encoding="utf-8").read()), lines(code)
    if not any(there[i:i + len(wanted)] == wanted for i in range(len(there))):
        missing = [line for line in wanted if line not in there]
        sys.exit(f"check: code in README.md differs from {path}: {missing or 'the order of the lines'}")
PYTHON
exit $status
