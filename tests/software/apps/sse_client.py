"""Reads the beginning of an endless event stream."""

import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1], timeout=10) as stream:
    lines = [stream.readline() for _ in range(10)]
assert b"data: 1\r\n" in lines, lines
