#!/bin/sh
# ThreadSanitizer with Python in it: the module of the preset tsan-python under a live server, whose
# applications use what they keep from other threads. Fails on any report.
#   tools/tsan_module.sh [arguments of pytest instead of the tests below]
# CPython is not instrumented: of what only it does nothing is seen but its calls of libc, by which
# its GIL is a mutex like others. Nothing has to be suppressed.
set -eu
cd "$(dirname "$0")/.."
build=$PWD/build/tsan-python
python=$PWD/${VENV:-.venv}/bin/python
[ $# -gt 0 ] || set -- tests/integration/test_late_handles.py tests/integration/test_parallel.py

cmake --preset tsan-python -DPython_EXECUTABLE="$python" > /dev/null
cmake --build --preset tsan-python
rm -rf "$build/site" "$build/reports"
mkdir -p "$build/reports"
cmake --install "$build" --prefix "$build/site" > /dev/null
cp -r python/monoceros "$build/site"

# What the tests start their servers with. setarch: older sanitizers do not bear all of address
# space randomisation.
cat > "$build/python" << EOF
#!/bin/sh
export PYTHONPATH="$build/site" LD_PRELOAD=$(gcc -print-file-name=libtsan.so)
export TSAN_OPTIONS="log_path=$build/reports/report exitcode=0"
exec setarch -R "$python" "\$@"
EOF
chmod +x "$build/python"
MONO_PYTHON=$build/python "$python" -m pytest -q --timeout 600 "$@"
if [ -n "$(ls "$build/reports")" ]; then
    head -c 20000 "$build"/reports/*
    echo "ThreadSanitizer: see $build/reports" >&2
    exit 1
fi
