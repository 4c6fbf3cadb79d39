#!/bin/bash
# Builds the wheel under every Python >= 3.10 at hand (the system's, pyenv's, those on PATH),
# installs it into an environment of its own, and lets tools/smoke.py serve a request with it, and
# a test ask for much at once.
set -euo pipefail
cd "$(dirname "$0")/.."

candidates() {
    ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3 2> /dev/null || true
    for minor in 10 11 12 13 13t 14 14t 15; do command -v "python3.$minor" || true; done
    command -v /usr/bin/python3 || true
}

# One line a distinct interpreter: "<version and flags> <its path>".
describe='import os, sys, sysconfig
ready = os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
if sys.version_info >= (3, 10) and ready:
    free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    print(sys.version.split()[0] + free, os.path.realpath(sys.executable))'

work=build/pythons
mkdir -p "$work"
tried=0
failed=""
while read -r version python; do
    echo "=== Python $version"
    home=$work/$version
    log=$home.log
    rm -rf "$home"
    if "$python" -m venv "$home" &&
        "$home/bin/python" -m pip wheel --disable-pip-version-check --no-deps -w "$home/dist" . \
            > "$log" 2>&1 &&
        "$home/bin/python" -m pip install --disable-pip-version-check "$home"/dist/*.whl \
            >> "$log" 2>&1 &&
        "$home/bin/python" tools/smoke.py &&
        MONO_PYTHON=$PWD/$home/bin/python .venv/bin/python -m pytest -q \
            tests/integration/test_late_crowds.py; then
        tried=$((tried + 1))
    else
        tail -n 30 "$log" || true
        failed="$failed $version"
    fi
done < <(candidates | while read -r python; do "$python" -c "$describe" 2> /dev/null || true; done |
    sort -u -k1,1 -V)

[ -z "$failed" ] || { echo "=== FAILED under:$failed"; exit 1; }
[ "$tried" -gt 0 ] || { echo "=== FAILED: no Python 3.10 or later with headers was found"; exit 1; }
echo "=== served under $tried Python versions"
