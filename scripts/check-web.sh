#!/usr/bin/env bash
# Checks the types of the dashboard's front end, and what its files must and must not hold. Needs tsc (Debian: node-typescript).
set -euo pipefail
cd "$(dirname "$0")/.."
resources=Sources/AsynqDashboard/Resources
status=0
fail() { echo "check-web: $1" >&2; status=1; }

command -v tsc > /dev/null || { echo "check-web: there is no tsc; install node-typescript" >&2; exit 1; }
tsc --project Tests/Browser || status=1

# Text of users must never become markup, code or style.
markup=$(grep -rnE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|setHTMLUnsafe|srcdoc|\beval\(|new Function' "$resources/js" || true)
[ -z "$markup" ] || fail "markup or code made of text: $markup"
inline=$(grep -nE ' style=| on[a-z]+=|<style|<script(>| [^>]*>[^<])' "$resources/index.html" || true)
[ -z "$inline" ] || fail "inline style or script, which the content security policy forbids: $inline"
styles=$(grep -rnE 'setAttribute\("style"|\bstyle: ' "$resources/js" || true)
[ -z "$styles" ] || fail "a style attribute, which the content security policy forbids: $styles"
third=$(grep -rnE 'https?://' "$resources" | grep -vE 'www\.w3\.org/2000/svg' || true)
[ -z "$third" ] || fail "an address of somebody else: $third"

while IFS= read -r file; do
    lines=$(wc -l < "$file")
    [ "$lines" -lt 400 ] || fail "$file has $lines lines: two subjects?"
done < <(find "$resources" -name '*.js' -o -name '*.css')

# Each import leads to a file, and each module that the page asks for in advance is there.
while IFS=: read -r file path; do
    [ -e "$(dirname "$file")/$path" ] || fail "$file imports $path, which is not there"
done < <(grep -roE 'from "\./[^"]+"|from "\.\./[^"]+"|import\("\.[^"]+"\)' "$resources/js" --include='*.js' \
    | grep -v 'types\.js' | sed -E 's/(from |import\()"([^"]+)".*/\2/')
while IFS= read -r path; do
    [ -e "$resources/$path" ] || fail "index.html asks for $path, which is not there"
done < <(grep -oE '(href|src)="[a-z][^"]*"' "$resources/index.html" | sed -E 's/.*"(.*)"/\1/')

transferred=$(find "$resources" -type f ! -name '*.d.ts' -exec gzip -9 -c {} \; | wc -c)
[ "$transferred" -lt $((100 * 1024)) ] || fail "all files are $transferred bytes compressed; the budget is 100 KiB"
[ $status = 0 ] && echo "check-web: types and files are well; $transferred bytes compressed in all"
exit $status
