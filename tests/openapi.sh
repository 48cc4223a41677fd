#!/usr/bin/env bash
# Tests a real hub and a real bucket against their /openapi.json: schemathesis generates requests from it and validates the
# responses. Needs Python and, for the first run, the network, so `cargo test` does not include it.
#
#   tests/openapi.sh [PATH-TO-BUE]
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
bue="$(realpath "${1:-$target/debug/bue}")"
tools="${XDG_CACHE_HOME:-$HOME/.cache}/bue-openapi"
[ -x "$tools/bin/schemathesis" ] || { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet 'schemathesis>=4.4,<5'; }

hooks="$PWD/tests/openapi_hooks.py"
folder="$(mktemp -d)"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
BUE_TOKEN="$("$bue" token new --role admin --name openapi 2>/dev/null)"
export BUE_TOKEN

# Starts a server on a free port and sets `address`.
start() {
    BUE_LOG=error "$bue" "$@" -b 127.0.0.1:0 2>"$1.log" &
    pids+=($!)
    for _ in $(seq 200); do
        if address="$(grep -o 'listens on [^,]*' "$1.log")"; then
            address="${address#listens on }"
            return
        fi
        sleep 0.05
    done
    cat "$1.log" >&2
    return 1
}

# `/v1/events` is left out because its response never ends. The check that the server accepts everything that a schema allows
# is off: plans have rules that a schema cannot express, such as the order of dependencies, and ids must exist.
check() {
    echo "== $address"
    SCHEMATHESIS_HOOKS="$hooks" "$tools/bin/schemathesis" run "http://$address/openapi.json" \
        --header "Authorization: Bearer $BUE_TOKEN" "$@" \
        --exclude-checks positive_data_acceptance \
        --phases examples,coverage,fuzzing \
        --max-examples "${EXAMPLES:-50}" --seed 1 --request-timeout 90 --generation-database none --no-color
}

start bucket
check
start hub
check --exclude-path /v1/events
