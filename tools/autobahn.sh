#!/bin/sh
# Runs autobahntestsuite's fuzzing client against WebSocket echo servers:
#   tools/autobahn.sh                         ws_echo_server (tests/conformance: the protocol alone)
#                                             and an asgi worker of the installed monoceros
#   tools/autobahn.sh ws://127.0.0.1:8000/    a server that is running already
# CASES="1.* 2.*" picks cases (default: all of 1-7, 9, 10, 12 and 13; docs/websocket.md);
# ASGI_LOOP=uvloop the worker's loop.
# The suite needs Python 2.7: PYTHON27=... names it, or pyenv has it. It goes into build/autobahn,
# which also gets the report: build/autobahn/report/index.html.
set -eu
cd "$(dirname "$0")/.."
. tools/wait_for_port.sh
directory=build/autobahn
suite=$directory/venv
CASES=${CASES:-1.* 2.* 3.* 4.* 5.* 6.* 7.* 9.* 10.* 12.* 13.*}
PORT=${PORT:-9431}
SECONDS_MAX=14400  # of ws_echo_server, which ends by itself

find_python27() {
    for python in "${PYTHON27:-}" python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python
    do
        if "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2> /dev/null; then
            echo "$python"
            return
        fi
    done
}

install_suite() {
    [ ! -x "$suite/bin/wstest" ] || return 0
    python=$(find_python27)
    [ -n "$python" ] || {
        echo "no Python 2.7: set PYTHON27=..., or run: pyenv install 2.7.18" >&2
        exit 1
    }
    # The last virtualenv that knows Python 2.7; kept out of that Python's own packages.
    "$python" -m pip install -qq --target "$directory/virtualenv" 'virtualenv<20.22'
    PYTHONPATH=$directory/virtualenv "$python" -m virtualenv --quiet "$suite"
    "$suite/bin/pip" install -qq autobahntestsuite
}

# Leaves the processes in $running and the URLs in $urls.
start_servers() {
    cmake --preset dev > /dev/null
    cmake --build --preset dev --target ws_echo_server > /dev/null
    build/dev/tests/conformance/ws_echo_server "$PORT" "$SECONDS_MAX" &
    running=$!
    "${VENV:-.venv}/bin/monoceros" -k asgi --asgi-loop "${ASGI_LOOP:-asyncio}" \
        --bind "127.0.0.1:$((PORT + 1))" --log-level warning \
        --chdir tests/conformance ws_echo_app:app &
    running="$running $!"
    wait_for_port "$PORT"
    wait_for_port "$((PORT + 1))"
    urls="ws_echo_server=ws://127.0.0.1:$PORT/ asgi_worker=ws://127.0.0.1:$((PORT + 1))/"
}

mkdir -p "$directory"
install_suite
running=
trap '[ -z "$running" ] || kill $running 2> /dev/null || true' EXIT INT TERM
urls=${1:+server=$1}
[ -n "$urls" ] || start_servers
servers=
for url in $urls; do
    servers="$servers${servers:+, }{\"agent\": \"${url%%=*}\", \"url\": \"${url#*=}\"}"
done
wanted=
set -f
for case in $CASES; do wanted="$wanted${wanted:+, }\"$case\""; done
set +f
cat > "$directory/fuzzingclient.json" << END
{"outdir": "$directory/report", "servers": [$servers],
 "cases": [$wanted], "exclude-cases": [], "exclude-agent-cases": {}}
END
rm -rf "$directory/report"
"$suite/bin/wstest" -m fuzzingclient -s "$directory/fuzzingclient.json" > "$directory/log" 2>&1 || {
    tail -n 20 "$directory/log" >&2
    exit 1
}
python3 tools/autobahn_verdict.py "$directory/report/index.json"
