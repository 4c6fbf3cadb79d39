#!/bin/sh
# Runs each libFuzzer target of a build: tools/fuzz.sh <directory of the targets> <seconds each>.
# Seeds are fuzz/corpus and the test vectors. New inputs grow in build/corpus/<target>; what
# crashes is kept as fuzz/found/<target>-*.
set -eu
cd "$(dirname "$0")/.."
directory=$1
seconds=$2
targets=$(find "$directory" -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x | sort)
[ -n "$targets" ] || { echo "no fuzz_* target in $directory" >&2; exit 1; }
vectors=build/corpus/vectors
mkdir -p fuzz/found "$vectors"
export ASAN_OPTIONS=quarantine_size_mb=32
"$directory/vectors_to_corpus" tests/vectors "$vectors" > /dev/null
for target in $targets; do
    name=$(basename "$target")
    short=${name#fuzz_}
    mkdir -p "build/corpus/$name"
    set -- "build/corpus/$name"
    for seeds in "fuzz/corpus/$short" "$vectors/$short"; do
        [ ! -d "$seeds" ] || set -- "$@" "$seeds"
    done
    for dictionary in "fuzz/$short.dict" fuzz/http.dict; do
        if [ -e "$dictionary" ]; then set -- "$@" "-dict=$dictionary"; break; fi
    done
    echo "=== fuzz $short for $seconds s"
    log=build/corpus/$name.log
    if "$target" "$@" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="fuzz/found/$name-" -print_final_stats=1 > "$log" 2>&1; then
        grep -E '^stat::number_of_executed|^stat::new_units|^Done|DONE' "$log" || true
    else
        tail -n 40 "$log"
        echo "=== FAILED: fuzz $short; the input is fuzz/found/$name-*, the log $log" >&2
        exit 1
    fi
done
