"""Texts that clients choose, as an access line may hold them."""

from __future__ import annotations


def escape(value: str) -> str:
    """Clients choose these texts: they must not shape the line. As src/log/escape does it."""
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(c if c.isascii() and c.isprintable() else _hex(c) for c in escaped)


def _hex(character: str) -> str:
    """Latin-1 is one byte, as WSGI has it; anything wider is its UTF-8."""
    encoded = character.encode("latin-1" if ord(character) < 256 else "utf-8", "replace")
    return "".join(f"\\x{byte:02X}" for byte in encoded)
