#!/usr/bin/env python3
"""Writes docs/settings.md from the table of settings in the built extension.

Usage: gen_settings_docs.py [--check] [FILE]. With --check nothing is written: exit status 1 means
that FILE is not what the table says.
"""

from __future__ import annotations

import sys

from generated_page import write_or_check

from monoceros import _core

HEAD = """# Settings

Every setting of monoceros. Generated from `src/config/settings.def` by
`tools/gen_settings_docs.py`: change that table, not this page.

A setting is written as its name in `monoceros.conf.py` (or `gunicorn.conf.py`), or as its flag on
the command line and in `MONOCEROS_CMD_ARGS` (or `GUNICORN_CMD_ARGS`). Later sources win: default,
environment variable, configuration file, `MONOCEROS_CMD_ARGS`, command line.
`monoceros --explain APP` shows each value and where it came from.

"""

KINDS = {
    "int": "integer",
    "octal": "integer",
    "size": "bytes, or a number with K, M or G",
    "share": "number or percentage",
    "flag": "true or false",
    "sendfile": "true or false",
    "text": "text",
    "texts": "list of texts",
    "buffering": "text, or list of texts: `on`, `off` or bytes; `/PREFIX=` may stand before it",
    "csv": "text, items joined by commas",
    "networks": "text, addresses and networks joined by commas",
    "protocols": "text, items joined by commas",
    "dict": "dictionary",
    "class": "class, or text that names one",
    "hook": "function",
    "user": "name or number",
    "group": "name or number",
    "chdir": "directory",
    "files": "list of files and patterns",
    "statsd": "HOST:PORT or unix://PATH",
    "tls_version": "number or name",
}


def kind_of(row: _core._Row) -> str:
    kind, domain = row[5], row[7]
    if kind == "enum":
        return "one of " + ", ".join(f"`{choice}`" for choice in domain.split("|"))
    if kind in ("int", "octal"):
        low, _, high = (domain or "0..").partition("..")
        return f"integer, {low} to {high}" if high else f"integer, {low} or more"
    return KINDS[kind]


def entry(row: _core._Row) -> str:
    name, _, _, flags, metavar, kind, default, _, doc, _, ready, note = row
    lines = [f"### {name}", ""]
    if flags:
        value = "" if kind in ("flag", "sendfile") else " " + (metavar or name.upper())
        lines.append("- Flag: " + ", ".join(f"`{f}{value}`" for f in flags.split("|")))
    lines.append(f"- Value: {kind_of(row)}")
    if kind != "hook":
        lines.append(f"- Default: `{default!r}`")
    lines += ["", doc]
    if ready in ("later", "refuse"):
        effect = "warns" if ready == "later" else "refuses to start"
        lines += ["", f"**Not yet**: {note}. The server {effect} when this is set."]
    elif ready == "unused":
        lines += ["", f"Accepted, without effect: {note}."]
    return "\n".join(lines) + "\n"


def page() -> str:
    sections: dict[str, list[_core._Row]] = {}
    for row in _core.settings_table():
        sections.setdefault(row[2], []).append(row)
    parts = [HEAD]
    for section, rows in sections.items():
        parts.append(f"## {section}\n\n" + "\n".join(entry(row) for row in rows) + "\n")
    return "".join(parts).rstrip("\n") + "\n"


if __name__ == "__main__":
    sys.exit(write_or_check("settings.md", page(), sys.argv))
