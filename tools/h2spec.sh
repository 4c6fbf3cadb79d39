#!/bin/sh
# HTTP/2 conformance: h2spec, strict, in every worker class, over TLS and without: `make h2spec`.
# H2SPEC=<program> names one that is there; else it is built into build/h2spec, which needs Go
# (GO=... names it). The reports lie there too: build/h2spec/<class>-<tls or cleartext>.xml.
set -eu
cd "$(dirname "$0")/.."
. tools/wait_for_port.sh
directory=$PWD/build/h2spec
python=$PWD/${VENV:-.venv}/bin/python
GO=${GO:-$(command -v go || echo /usr/local/go/bin/go)}
PORT=${PORT:-9451}
SECONDS_MAX=5  # for an answer

find_h2spec() {
    if [ -n "${H2SPEC:-}" ]; then echo "$H2SPEC"; return; fi
    [ -x "$directory/h2spec" ] ||
        GOBIN=$directory "$GO" install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible \
            > "$directory/build.log" 2>&1 || {
        tail -n 5 "$directory/build.log" >&2
        echo "h2spec could not be built; it needs Go, or H2SPEC=<program>" >&2
        exit 1
    }
    echo "$directory/h2spec"
}

serve() {  # class, tls or cleartext
    case $1 in
        asgi) application=gateway_app:asgi ;;
        *) application=gateway_app:wsgi ;;
    esac
    options="--worker-class $1"
    [ "$1" != gthread ] || options="$options --threads 4"
    case $2 in
        tls) options="$options --http-protocols h2,h1
            --certfile $directory/cert.pem --keyfile $directory/key.pem" ;;
        *) options="$options --http2-cleartext prior-knowledge" ;;
    esac
    # shellcheck disable=SC2086
    "$python" -m monoceros $options --bind "127.0.0.1:$PORT" --chdir tests/integration/apps \
        "$application" > "$directory/$1-$2.log" 2>&1 &
    running=$!
    wait_for_port "$PORT"
}

stop() {
    [ -z "$running" ] || { kill "$running" && wait "$running"; } 2> /dev/null || true
    running=
}

mkdir -p "$directory"
rm -f "$directory"/*.xml
h2spec=$(find_h2spec)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -keyout "$directory/key.pem" -out "$directory/cert.pem" 2> /dev/null
running=
trap stop EXIT INT TERM
for class in sync gthread gevent asgi; do
    for way in tls cleartext; do
        serve "$class" "$way"
        set -- --strict --host 127.0.0.1 --port "$PORT" --path / --timeout "$SECONDS_MAX"
        [ "$way" != tls ] || set -- "$@" --tls --insecure
        # Its exit code says no more than its report.
        "$h2spec" "$@" --junit-report "$directory/$class-$way.xml" \
            > "$directory/$class-$way.txt" 2>&1 || true
        stop
    done
done
python3 tools/h2spec_verdict.py "$directory"
