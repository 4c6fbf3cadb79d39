#!/bin/sh
# Sets a fresh Debian 12 machine up, one step a call; the Makefile calls what it needs:
#   tools/setup.sh packages build|test|fuzz|software   system packages, by apt-get where permitted
#   tools/setup.sh venv                  makes $VENV with the first suitable Python
#   tools/setup.sh install               builds monoceros and installs it into $VENV
#   tools/setup.sh requirements          what the tests need, into $VENV
# PYTHON=... picks the interpreter (3.10 or later), VENV=... the environment (.venv).
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
PYTHON=${PYTHON:-}

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" > /dev/null 2>&1; }

is_suitable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' > /dev/null 2>&1
}

can_build() {
    "$1" -c 'import os, sys, sysconfig, ensurepip
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' \
        > /dev/null 2>&1
}

# The first Python that can build extensions; else the first suitable one, to name in a message.
find_python() {
    if [ -n "$PYTHON" ]; then
        is_suitable "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.10 or later"
        echo "$PYTHON"
        return
    fi
    first=
    for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3
    do
        is_suitable "$python" || continue
        if can_build "$python"; then
            echo "$python"
            return
        fi
        first=${first:-$python}
    done
    echo "$first"
}

# Prints the Debian packages that are missing for building, or for all the tests.
missing_packages() {
    has g++ || echo g++
    has cmake || echo cmake
    has ninja || echo ninja-build
    has pkg-config || echo pkg-config
    [ -e /usr/include/zlib.h ] || echo zlib1g-dev
    [ -e /usr/include/nghttp2/nghttp2.h ] || echo libnghttp2-dev
    [ -e /usr/include/openssl/ssl.h ] || echo libssl-dev
    python=$(find_python)
    if [ -z "$python" ] || ! can_build "$python"; then echo python3 python3-dev python3-venv; fi
    [ "$1" != build ] || return 0
    [ -e /usr/include/gtest/gtest.h ] || echo libgtest-dev
    has clang++ || echo clang
    has run-clang-tidy || echo clang-tidy
    has curl || echo curl
    has openssl || echo openssl
    has nginx || [ -x /usr/sbin/nginx ] || echo nginx
    [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || echo libnginx-mod-stream
    [ -x /usr/sbin/apache2 ] || echo apache2-bin
    has haproxy || [ -x /usr/sbin/haproxy ] || echo haproxy
    has ps || echo procps
    has wrk || echo wrk
    has h2load || echo nghttp2-client
    if [ "$1" = software ]; then
        has redis-server || echo redis-server
        ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || echo postgresql
    fi
    [ "$1" = fuzz ] && has clang++ || return 0
    version=$(clang++ -dumpversion)  # libFuzzer's own library is a package of its own
    [ -e "$(clang++ -print-file-name=libclang_rt.fuzzer-x86_64.a)" ] ||
        echo "libclang-rt-${version%%.*}-dev"
}

packages() {
    missing=$(missing_packages "$1" | tr '\n' ' ')
    missing=${missing% }
    [ -n "$missing" ] || return 0
    command="apt-get install -y --no-install-recommends $missing"
    has apt-get || fail "please install what Debian calls: $missing"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2> /dev/null || fail "packages are missing; please run: sudo $command"
        as_root="sudo -n"
    fi
    say "$command"
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update -q > /dev/null || say "apt-get update failed; trying all the same"
    # A fresh nginx or haproxy must not start by itself and take port 80.
    # shellcheck disable=SC2086
    $as_root env RUNLEVEL=1 $command > /dev/null || fail "failed: $command"
    left=$(missing_packages "$1" | tr '\n' ' ')
    [ -z "$left" ] || fail "installed, yet still not usable: $left"
}

venv() {
    python=$(find_python)
    [ -n "$python" ] || fail "no Python 3.10 or later was found; set PYTHON=..."
    wanted=$("$python" -c 'import sys; print(sys.version, sys.base_prefix)')
    if [ -x "$VENV/bin/python" ]; then
        found=$("$VENV/bin/python" -c 'import sys; print(sys.version, sys.base_prefix)') || found=
        [ "$found" != "$wanted" ] || return 0
        [ -n "$found" ] && [ -z "$PYTHON" ] && return 0
        say "$VENV is of another Python; making it anew"
        rm -rf "$VENV"
    fi
    say "$VENV with $("$python" --version)"
    "$python" -m venv "$VENV"
}

pip_install() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

install() {
    say "building monoceros"
    pip_install --force-reinstall --no-deps .
}

requirements() {
    say "installing what the tests need"
    pip_install -r tests/requirements.txt -r tools/requirements.txt
}

case "${1:-}" in
    packages) packages "${2:-build}" ;;
    venv | install | requirements) "$1" ;;
    *) fail "usage: setup.sh packages build|test|fuzz|software, venv, install or requirements" ;;
esac
