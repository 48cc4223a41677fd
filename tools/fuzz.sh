#!/usr/bin/env bash
# Fuzzes with the stable compiler: tools/fuzz.sh CRATE TARGET SECONDS [OPTIONS OF LIBFUZZER...]
#
#   tools/fuzz.sh model cbor 600
#
# CRATE is lang, model or runtime, TARGET a file in its fuzz/fuzz_targets. It needs a C++ compiler for libFuzzer. cargo-fuzz, which
# needs a nightly compiler, adds the address sanitizer; our code has `unsafe` in few files, and none that these targets reach.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 3 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
crate=$1 target=$2 seconds=$3
shift 3
folder=$crate/fuzz
[ -f "$folder/fuzz_targets/$target.rs" ] || { echo "error: there is no $folder/fuzz_targets/$target.rs" >&2; exit 2; }

# What cargo-fuzz passes to the compiler, without the sanitizer: counters of the edges taken, and what comparisons compare.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
checks="-Cdebug-assertions -Coverflow-checks -Ccodegen-units=1"

# With --target the flags do not apply to build scripts and macros.
host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/bue-fuzz}/$crate
RUSTFLAGS="--cfg fuzzing $coverage $checks" cargo build --release --locked --manifest-path "$folder/Cargo.toml" \
    --bin "$target" --target "$host" --target-dir "$target_dir"

mkdir -p "$folder/corpus/$target" "$folder/seeds" "$folder/artifacts/$target"
seeds=$folder/seeds
[ ! -d "$seeds/$target" ] || seeds=$seeds/$target
exec "$target_dir/$host/release/$target" "$folder/corpus/$target" "$seeds" \
    -artifact_prefix="$folder/artifacts/$target/" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -max_total_time="$seconds" "$@"
