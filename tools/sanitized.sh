#!/bin/sh
# The Python module under AddressSanitizer and UBSan, with live servers: `make test-sanitized`.
#   tools/sanitized.sh build             both builds, into build/sanitized/{stack,heap}
#   tools/sanitized.sh test              the tests, in every worker class
#   tools/sanitized.sh pytest ARGUMENT...   pytest with servers of the build "stack"; BUILD=heap
# .venv stays as it is: each build has its own copy of the package, and a program `python` that
# finds it first and loads the sanitizers' library before anything else.
#
# "stack" watches frames too. "heap", for gevent, does not: greenlets copy pieces of the stack away
# and run others in their place; what AddressSanitizer has noted of frames is somebody else's then.
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
PROCESSES=${TEST_PROCESSES:-3}
ROOT=$PWD/build/sanitized

. tools/sanitized_module.sh

build() {  # name, compiler flags
    sanitized_module "$ROOT/$1" "$PWD/$VENV/bin/python" "$2"
}

# Misuse, forks, late threads and crowds, floods, deadlines, uploads and spills, slow and hostile
# clients, WebSockets.
suite() {
    for name in misuse wsgi wsgi_input wsgi_response wsgi_files asgi asgi_waits websocket http \
        limits vectors_live uploads slow_clients slow_readers crowds forks deadlines late_crowds \
        late_handles hostile
    do
        echo "tests/integration/test_$name.py"
    done
}

on() {  # name, pytest's arguments
    export MONO_PYTHON="$ROOT/$1/python"
    shift
    "$VENV/bin/python" -m pytest -q --timeout 600 -m "not memory" "$@"
}

# shellcheck disable=SC2046
tests() {
    failed=0
    on stack -n "$PROCESSES" --dist loadfile -k "not gevent" $(suite) || failed=1
    on heap -n "$PROCESSES" --dist loadfile -k gevent $(suite) || failed=1
    # Left out: gevent imports more, and says a refusal up to a second later than its answer.
    MONO_ARGS="-k gevent" on heap -n "$PROCESSES" -k "not (gevent or no_modules or one_reason)" \
        tests/integration/test_http.py tests/integration/test_limits.py \
        tests/integration/test_wsgi_response.py || failed=1
    return "$failed"
}

case "${1:-}" in
    build)
        build stack ""
        build heap "--param asan-stack=0"
        ;;
    test) tests ;;
    pytest)
        shift
        on "${BUILD:-stack}" "$@"
        ;;
    *)
        echo "usage: sanitized.sh build, test, or pytest ARGUMENT..." >&2
        exit 2
        ;;
esac
