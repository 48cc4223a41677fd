#!/bin/sh
# Which packages work: `bue deps check` for every name in packages.txt, as rows of the table in docs/packages.md.
#
#   cargo build --release && bench/packages.sh target/release/bue > rows.md
#
# Takes some seconds a package and needs a package index that pip reaches. Names may be given behind the program instead.
set -eu
bue=${1:?"usage: bench/packages.sh BUE [NAME...]"}
shift
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ $# -gt 0 ] || set -- $(cat "$here/packages.txt")
for name in "$@"; do
    printf '!requires %s\nstep:\n    python\n    step\n    `def step(): pass`\nstep()\n' "$name" > "$folder/x.bue"
    # a package that cannot work is exit code 1, and a row of the table
    "$bue" deps check "$folder/x.bue" --json > "$folder/found.json" 2> "$folder/said.txt" || true
    python3 "$here/packages.py" "$name" "$folder/found.json" "$folder/said.txt"
done
