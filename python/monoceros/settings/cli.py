"""The command line: what argparse makes of it, and a short cut past argparse.

The short cut reads what is plain (whole flags, values of the right type); whatever is not, and
every mistake, goes to argparse, whose messages and exit code 2 are part of gunicorn's surface.
argparse costs about 2 ms and half a MiB in every process.
"""

from __future__ import annotations

from monoceros import __version__, _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from monoceros.contracts import Setting, Settings


class Options:
    """What was given on a command line; anything else reads as None."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def auto_int_or_octal(text: str) -> int:
    from monoceros.settings.validators import auto_int

    return auto_int(text)


auto_int_or_octal.__name__ = "auto_int"


def worker_count(text: str) -> int | str:
    return text if text == "auto" else int(text)


worker_count.__name__ = "int"


def quick(argv: list[str]) -> Options | None:
    """Reads a plain command line. None: let argparse read it."""
    given = Options()
    state = given.__dict__
    positionals: list[str] = []
    last_positional = -1
    at = 0
    while at < len(argv):
        token = argv[at]
        if not token.startswith("-") or token == "-":
            if positionals and last_positional != at - 1:
                return None
            positionals.append(token)
            last_positional = at
            at += 1
            continue
        used = _quick_flag(argv, at, state)
        if used == 0:
            return None
        at += used
    state["args"] = positionals
    return given


def _quick_flag(argv: list[str], at: int, state: dict[str, Any]) -> int:
    """Reads the flag at argv[at]; returns how many tokens it took, or 0 for: not plain."""
    token = argv[at]
    if token.startswith("--"):
        flag, equals, value = token.partition("=")
    else:
        flag, value = token[:2], token[2:]
        equals = value
    found = _core.find_flag(flag)
    if found is None or found[0] == "proxy_protocol":
        return 0
    name, kind = found
    if kind in ("flag", "sendfile"):
        if equals:
            return 0
        state[name] = kind == "flag"
        return 1
    used = 1
    if not equals:
        used = 2
        if at + 1 == len(argv):
            return 0
        value = argv[at + 1]
        if value.startswith("-") and value != "-" and not value[1:].isdigit():
            return 0
    return used if _keep(state, name, kind, value) else 0


def _keep(state: dict[str, Any], name: str, kind: str, value: str) -> bool:
    if kind in ("texts", "files", "buffering"):
        state.setdefault(name, []).append(value)
        return True
    if kind in ("int", "octal") and name != "cert_reqs":
        try:
            state[name] = worker_count(value) if name == "workers" else _number(kind, value)
        except ValueError:
            return False
        return True
    state[name] = value
    return True


def _number(kind: str, value: str) -> int:
    return auto_int_or_octal(value) if kind == "octal" else int(value)


def build_parser(cfg: Settings) -> argparse.ArgumentParser:
    """The parser with every flag; its errors name the nearest flag."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> Any:
            super().error(message + _suggestion(message))

    parser = Parser(usage=cfg.usage, prog=cfg.prog, allow_abbrev=False)
    parser.add_argument(
        "-v", "--version", action="version", default=argparse.SUPPRESS,
        version=f"%(prog)s (version {__version__})",
        help="show program's version number and exit",
    )  # fmt: skip
    parser.add_argument("args", nargs="*", help=argparse.SUPPRESS)
    for setting in sorted(cfg.settings.values(), key=lambda setting: setting.order):
        setting.add_option(parser)
    return parser


def _suggestion(message: str) -> str:
    prefix = "unrecognized arguments: --"
    if not message.startswith(prefix):
        return ""
    wrong = message[len(prefix) :].split(maxsplit=1)[0].partition("=")[0]
    longer = [
        flag
        for row in _core.settings_table()
        for flag in row[3].split("|")
        if flag.startswith(f"--{wrong}")
    ]
    if not longer and (near := _core.nearest_setting(wrong.replace("-", "_"))):
        longer = [_core.setting_row(near)[3].split("|")[-1]]
    return f" (did you mean {longer[0]}?)" if longer and longer[0] else ""


def add_option(parser: argparse.ArgumentParser, setting: Setting) -> None:
    if not setting.cli:
        return
    keywords: dict[str, Any] = {
        "dest": setting.name,
        "action": setting.action or "store",
        "default": None,
        "help": f"{setting.short} [{setting.default}]".replace("%", "%%"),
    }
    if keywords["action"] not in ("store_true", "store_false", "store_const"):
        keywords["type"] = _type_of(setting)
        if setting.meta:
            keywords["metavar"] = setting.meta
    if setting.nargs is not None:
        keywords["nargs"] = setting.nargs
    if setting.const is not None:
        keywords["const"] = setting.const
    parser.add_argument(*setting.cli, **keywords)


def _type_of(setting: Setting) -> Any:
    if setting.name == "workers":
        return worker_count
    if setting.name in ("umask", "control_socket_mode"):
        return auto_int_or_octal
    return setting.type or str
