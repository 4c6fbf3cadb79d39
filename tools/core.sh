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

library() { "${CXX:-g++}" -print-file-name="$1"; }

if [ -n "$debug" ]; then
    # Debian's debug headers are links to the others: as "system headers" they would find the
    # pyconfig.h of those.
    cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=Debug -DMONO_PYTHON=ON \
        -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g -fno-canonical-system-headers" \
        -DMONO_SANITIZE=address,undefined -DPython_EXECUTABLE="$debug" > /dev/null
    cmake --build "$build" --target _core
    rm -rf "$build/site"
    mkdir -p "$build/site"
    cp -R python/monoceros "$build/site/"
    cmake --install "$build" --prefix "$build/site" > /dev/null
    cat > "$build/python" << END
#!/bin/sh
export LD_PRELOAD="$(library libasan.so) $(library libstdc++.so)"
export PYTHONPATH="$build/site" PYTHONMALLOC=malloc
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:quarantine_size_mb=32
export UBSAN_OPTIONS=print_stacktrace=1
exec "$debug" "\$@"
END
    chmod +x "$build/python"
    MONO_PYTHON="$build/python" "$VENV/bin/python" -m pytest -n "${TEST_PROCESSES:-3}" "$@"
else
    echo "no debug build of Python (Debian: python3-dbg): references are counted by memory only"
fi
"$VENV/bin/python" -m pytest -n "${TEST_PROCESSES:-3}" "$@"
