#!/bin/sh
# Reads clang-tidy's output, prints the findings (a header's once), and fails if there are any.
escape=$(printf '\033')
findings=$(sed "s/$escape\[[0-9;]*m//g" | grep -A 3 -E '^/.*(warning|error):' |
    awk '/(warning|error):/ { skip = seen[$0]++ } !skip')
[ -z "$findings" ] && exit 0
printf '%s\n' "$findings"
exit 1
