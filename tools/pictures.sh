#!/bin/sh
# Takes the pictures of the dashboard in docs/pictures, with the build that `cargo test --no-run` has made.
set -eu
project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$project/tools/setup.sh"
require_rust
require_chromium
command -v pngquant >/dev/null || install "Compressing the pictures needs pngquant" pngquant
mkdir -p "$project/docs/pictures"
cd "$project"
BUE_PICTURES=$project/docs/pictures cargo test -p bue-web-tests every_page_has_its_picture
# 98: a picture would have become larger, and stays as it is
pngquant --force --ext .png --strip --skip-if-larger 256 docs/pictures/*.png || [ $? = 98 ]
