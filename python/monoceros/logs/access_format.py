"""Whether an access_log_format can be written, and what its unknown atoms may have meant.

Imported only where the format is not the default one.
"""

from __future__ import annotations

import re

from monoceros import _core
from monoceros.logs.access import LEGS

LETTERS = "hlutrsmUqHbBfaTMDLp"
MEANT = {  # words that people write, as other servers and gunicorn's documentation name things
    "status": "s", "method": "m", "path": "U", "query": "q", "query_string": "q", "protocol": "H",
    "user": "u", "remote_user": "u", "time": "t", "date": "t", "request": "r", "request_line": "r",
    "remote_addr": "h", "client": "h", "ip": "h", "bytes": "b", "size": "b", "length": "b",
    "referer": "f", "referrer": "f", "user_agent": "a", "useragent": "a", "agent": "a",
    "duration": "D", "pid": "p", "process": "p",
}  # fmt: skip
MAKERS = ("monoceros.glogging", "monoceros.instrument.statsd")
BRACED = re.compile(r"\{(.+)\}([ioeIOE])")
ATOM = re.compile(r"%%|%\(([^()]*)\)")


class _Sample(dict):  # type: ignore[type-arg]
    """Atoms as a request has them. Whoever wants all of them at once ("%s") is refused."""

    def __missing__(self, key: str) -> str:
        return "-"

    def __str__(self) -> str:
        raise TypeError("a format names its atoms")

    __repr__ = __str__


def fault(text: str) -> str | None:
    """The sentence for a format that neither the core nor Python's % can make a line of."""
    sentence = _core.Engine.format_fault(text)
    if sentence is None:
        return None
    try:
        _ = text % _Sample(dict.fromkeys("BTMD", 1))
    except (TypeError, ValueError):
        return sentence
    return None


def fault_for(text: str, logger_class: type) -> str | None:
    """None too where a logger class makes the lines, or the atoms, by itself."""
    for name in ("access", "atoms", "atoms_wrapper_class"):
        if getattr(getattr(logger_class, name, None), "__module__", None) not in MAKERS:
            return None
    return fault(text)


def hints(text: str) -> list[str]:
    # A sentence for each atom that there is not.
    if text in ("json", "logfmt"):
        return []
    unknown = [key for key in ATOM.findall(text) if key and not _is_atom(key)]
    return [
        f"access_log_format: %({key})s is no atom, and always shows -{_meant(key)}"
        for key in dict.fromkeys(unknown)
    ]


def _is_atom(key: str) -> bool:
    return key in LEGS or (len(key) == 1 and key in LETTERS) or bool(BRACED.fullmatch(key))


def _meant(key: str) -> str:
    word = key.lower().replace("-", "_")
    field = re.fullmatch(r"\{?([^{}]{2,})\}?.?", key)
    if word in LEGS:
        near = word
    elif word in MEANT:
        near = MEANT[word]
    elif len(key) == 1:
        near = key.swapcase() if key.swapcase() in LETTERS else ""
    elif key.startswith("{") or "-" in key or key.lower() == "host":
        near = f"{{{field[1]}}}i" if field else ""
    else:
        near = ""
    return f": did you mean %({near})s?" if near else "."
