#!/bin/sh
# Checks which Python packages work: runs `bue deps check` for every name in packages.txt, and prints the rows of the table in
# docs/packages.md.
#
#   cargo build --release && bench/packages.sh target/release/bue > rows.md
#
# Takes some seconds per package and needs a package index that pip can reach. Names after the program replace packages.txt.
set -eu
bue=${1:?"usage: bench/packages.sh BUE [NAME...]"}
shift
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ $# -gt 0 ] || set -- $(cat "$here/packages.txt")
for name in "$@"; do
    printf '!requires %s\nstep:\n    python\n    step\n    `def step(): pass`\nstep()\n' "$name" > "$folder/x.bue"
    # exit code 1 means that the package cannot work, which is a row of the table too
    "$bue" deps check "$folder/x.bue" --json > "$folder/stdout.json" 2> "$folder/stderr.txt" || true
    python3 "$here/packages.py" "$name" "$folder/stdout.json" "$folder/stderr.txt"
done
