#!/bin/sh
# The Python module by itself: `make test-core`, tests/core with each allocation failing once.
# With a debug build of Python (Debian: python3-dbg), which asserts what others assume and counts
# all references, and the module under AddressSanitizer and UBSan; then with the Python of .venv.
#   tools/core.sh [arguments of pytest instead of tests/core]
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
debug=$(command -v "${DEBUG_PYTHON:-python3-dbg}" || true)
build=$PWD/build/debug-python
[ $# -gt 0 ] || set -- tests/core
export MONO_FAULT_STEP=1

. tools/sanitized_module.sh

if [ -n "$debug" ]; then
    # Debian's debug headers are links to the others: as "system headers" they would find the
    # pyconfig.h of those.
    sanitized_module "$build" "$debug" -fno-canonical-system-headers
    MONO_PYTHON="$build/python" "$VENV/bin/python" -m pytest -n "${TEST_PROCESSES:-3}" "$@"
else
    echo "no debug build of Python (Debian: python3-dbg): references are counted by memory only"
fi
"$VENV/bin/python" -m pytest -n "${TEST_PROCESSES:-3}" "$@"
