#!/bin/sh
# Runs one stage of `make test` under a headline, and names it when it fails.
#   tools/stage.sh <name> <command>...
name=$1
shift
began=$(date +%s)
printf '\n=== %s: %s\n' "$(date +%H:%M:%S)" "$name"
"$@" --no-print-directory
code=$?
if [ "$code" -ne 0 ]; then
    seconds=$(($(date +%s) - began))
    printf '\n=== FAILED: stage "%s" after %s s. Again, alone: make %s\n' "$name" "$seconds" "$name"
fi
exit "$code"
