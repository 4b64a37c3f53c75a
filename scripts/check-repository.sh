#!/usr/bin/env bash
# What must hold of the files themselves: no build products, no machine's own paths, links that lead somewhere, code on
# pages that is compiled, and tests on pages that exist.
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

# Each Swift block of README and of the documentation stands in the compiled file that it is marked with, apart from its
# indentation. In the documentation each is marked; `none` says that there is nothing to compile.
python3 - <<'PYTHON' || status=1
import glob, os, re, sys
problems, compared = [], 0
def lines(code):
    return [line.strip() for line in code.split("\n") if line.strip()]
for page in ["README.md", *sorted(glob.glob("Sources/*/*.docc/**/*.md", recursive=True))]:
    text = open(page, encoding="utf-8").read()
    for mark, code in re.findall(r"((?:<!-- code: \S+ -->\n)?)```swift\n(.*?)```", text, re.S):
        wanted = lines(code)
        if not mark:
            if page != "README.md":
                problems.append(f"{page}: a block of code is not marked with its file: {wanted[:1]}")
            continue
        path = mark.split()[2]
        if path == "none":
            continue
        compared += 1
        if not os.path.isfile(path):
            problems.append(f"{page}: there is no {path}")
            continue
        there = lines(open(path, encoding="utf-8").read())
        if not any(there[i:i + len(wanted)] == wanted for i in range(len(there))):
            missing = [line for line in wanted if line not in there]
            problems.append(f"code in {page} differs from {path}: {missing or 'the order of the lines'}")
if not compared:
    problems.append("no code of a page is compared with a compiled file")
for problem in problems:
    print(f"check: {problem}", file=sys.stderr)
sys.exit(bool(problems))
PYTHON

# Each test that the map of the contract or the list of scenarios names is there: a function in Tests, or a rule of the
# conformance suite.
python3 - <<'PYTHON' || status=1
import glob, re, sys
def names(pattern, paths):
    found = set()
    for path in glob.glob(paths, recursive=True):
        found.update(re.findall(pattern, open(path, encoding="utf-8").read()))
    return found
written = names(r"func `([^`]+)`", "Tests/**/*.swift")
written |= names(r'\bRule\(\s*"((?:[^"\\]|\\.)*)"', "Sources/AsynqTesting/Conformance/**/*.swift")
problems = []
for page in ["docs/spec-tests.md", "docs/scenarios.md"]:
    rows = [line for line in open(page, encoding="utf-8") if line.startswith("|")]
    named = {name for row in rows for name in re.findall("`([^`]+)`", row)}
    problems += [f"{page} names a test that is not there: {name}" for name in sorted(named - written)]
    if not named:
        problems.append(f"{page} names no test at all")
for problem in problems:
    print(f"check: {problem}", file=sys.stderr)
sys.exit(bool(problems))
PYTHON
exit $status
