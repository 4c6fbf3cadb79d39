#!/bin/sh
# Runs each libFuzzer target of a build: tools/fuzz.sh <directory of the targets> <seconds each>.
# New inputs grow in build/corpus/<target>; what crashes is kept as fuzz/found/<target>-*.
set -eu
cd "$(dirname "$0")/.."
directory=$1
seconds=$2
targets=$(find "$directory" -maxdepth 1 -type f -name '*fuzz*' -perm -u+x | sort)
[ -n "$targets" ] || { echo "no fuzz target in $directory" >&2; exit 1; }
mkdir -p fuzz/found
for target in $targets; do
    name=$(basename "$target")
    mkdir -p "build/corpus/$name"
    set -- "build/corpus/$name"
    for seeds in "fuzz/corpus/$name" "fuzz/corpus/${name#fuzz_}" "fuzz/corpus/${name%_fuzz}"; do
        if [ -d "$seeds" ]; then set -- "$@" "$seeds"; break; fi
    done
    for dictionary in "fuzz/$name.dict" fuzz/http.dict; do
        if [ -e "$dictionary" ]; then set -- "$@" "-dict=$dictionary"; break; fi
    done
    echo "=== fuzz $name for $seconds s"
    log=build/corpus/$name.log
    if "$target" "$@" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="fuzz/found/$name-" -print_final_stats=1 > "$log" 2>&1; then
        grep -E '^stat::|DONE' "$log" || true
    else
        tail -n 40 "$log"
        echo "=== FAILED: fuzz $name; the input is fuzz/found/$name-*, the log $log" >&2
        exit 1
    fi
done
