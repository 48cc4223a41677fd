#!/bin/sh
# Installs the systems that the benchmarks `jobs` and `invocations` compare bue with, graphile-worker (npm) and Buelon (pip), from
# their registries into a folder of the build.
#
#   bench/peers.sh "${CARGO_TARGET_DIR:-target}/peers"
set -eu
folder=${1:?"usage: bench/peers.sh FOLDER"}
mkdir -p "$folder/graphile"
npm install --prefix "$folder/graphile" --no-audit --no-fund graphile-worker@0.18.0
python3 -m venv "$folder/buelon"
"$folder/buelon/bin/python" -m pip install --quiet buelon==1.0.78
