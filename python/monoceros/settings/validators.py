"""What each kind of setting accepts from Python, and what it becomes.

Text is judged by the C++ core (one grammar for files, flags and the environment); this module
adds the Python values: numbers, lists, callables, classes. Every validate_* function returns the
value to keep, or raises TypeError, ValueError or ConfigError with a sentence for a human.
"""

from __future__ import annotations

import os
import sys

from monoceros import _core, util
from monoceros.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def auto_int(value: int | str) -> int:
    """An integer in base-0 grammar, where a leading zero means octal: 022 is 0o22."""
    text = str(value)
    if len(text) > 1 and text[0] == "0" and text[1].isdigit():
        text = "0o" + text[1:]
    return int(text, 0)


def _wrong(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {wanted}, not {value!r}.")


def check_int(name: str, value: object) -> int:
    """An integer within the setting's range; True and False count as 1 and 0."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, int):
        value = str(int(value))
    if not isinstance(value, str):
        raise _wrong(name, "an integer", value)
    number: int = _core.parse_setting(name, value)
    return number


def check_share(name: str, value: object) -> str:
    """A number of workers, or a percentage of them, as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise _wrong(name, "a number of workers or a percentage", value)
    share: str = _core.parse_setting(name, value)
    return share


def check_flag(name: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise _wrong(name, "True or False", value)
    flag: bool = _core.parse_setting(name, value)
    return flag


def check_text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    return value.strip()


# What gunicorn's own validators make of values that are not text.
_ENUM_EXTRAS: dict[str, dict[object, str | None]] = {
    "proxy_protocol": {True: "auto", False: "off", None: "off"},
    "http2_cleartext": {True: "prior-knowledge", False: "off", None: "off"},
    "asgi_loop": {None: "auto"},
    "asgi_lifespan": {None: "auto"},
    "http_parser": {None: "auto"},
    "header_map": {None: None},
}


def check_enum(name: str, value: object) -> str | None:
    if isinstance(value, str):
        choice: str = _core.parse_setting(name, value)
        return choice
    extras = _ENUM_EXTRAS.get(name, {})
    if (value is None or isinstance(value, bool)) and value in extras:
        return extras[value]
    choices = _core.setting_row(name)[7].replace("|", ", ")
    raise _wrong(name, "one of " + choices, value)


def check_texts(name: str, value: object) -> list[str]:
    """A list of strings; one string is a list of one, nothing is an empty list."""
    if not value:
        return []
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple | set | frozenset):
        raise _wrong(name, "a list of strings", value)
    items = []
    for item in value:
        if not isinstance(item, str):
            raise _wrong(name, "a list of strings", item)
        items.append(item.strip())
    return items


def check_buffering(name: str, value: object) -> list[str]:
    """Rules for all paths or for those with a prefix; one may stand alone, or be a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    rules: list[str] = []
    for item in check_texts(name, value):
        rules += _core.parse_setting(name, item)
    return rules


def check_csv(name: str, value: object) -> list[str]:
    """Text with commas; the same for lists of networks and of protocols."""
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise _wrong(name, "one string, its items joined by commas", value)
    items: list[str] = _core.parse_setting(name, value)
    return items


def check_dict(name: str, value: object) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise _wrong(name, "a dictionary", value)
    return value


def check_class(name: str, value: Any) -> Any:
    """A class, text that names one (looked up late), or a function that returns either."""
    if callable(value) and not isinstance(value, type):
        value = value()
    if isinstance(value, type):
        return value
    return check_text(name, value)


def check_hook(name: str, value: Any) -> Any:
    if isinstance(value, str):
        value = _import_callable(name, value)
    arities = [int(n) for n in _core.setting_row(name)[7].split("|")]
    if not callable(value):
        raise _wrong(name, "a function", value)
    arity = util.get_arity(value)
    if arity not in arities:
        wanted = " or ".join(str(n) for n in arities)
        raise TypeError(f"{name} is called with {wanted} arguments, but {value!r} takes {arity}.")
    if name == "post_request" and arity < 4:
        return _widen_post_request(value, arity)
    return value


def _widen_post_request(hook: Callable[..., Any], arity: int) -> Callable[..., Any]:
    def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> Any:
        return hook(*(worker, req, environ, resp)[:arity])

    return post_request


def _import_callable(name: str, path: str) -> Any:
    module, dot, attribute = path.strip().rpartition(".")
    if not dot:
        raise TypeError(f"{name} must be a function or a path such as package.module.function.")
    import importlib

    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise TypeError(f"{name}: {path!r} cannot be imported: {error}.") from error


def check_user(name: str, value: object) -> int:
    """A user's number. None is the user that we run as."""
    if value is None:
        return os.geteuid()
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isdigit():
        return int(value)
    import pwd

    try:
        return pwd.getpwnam(str(value)).pw_uid
    except KeyError:
        raise ConfigError(f"There is no user called {value!r}.") from None


def check_group(name: str, value: object) -> int:
    """A group's number. None is the group that we run as."""
    if value is None:
        return os.getegid()
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isdigit():
        return int(value)
    import grp

    try:
        return grp.getgrnam(str(value)).gr_gid
    except KeyError:
        raise ConfigError(f"There is no group called {value!r}.") from None


def check_chdir(name: str, value: object) -> str:
    text = check_text(name, value)
    if text is None:
        raise _wrong(name, "a directory", value)
    path = os.path.abspath(os.path.normpath(os.path.join(util.getcwd(), text)))
    if not os.path.exists(path):
        raise ConfigError(f"The directory {text!r} to change to does not exist.")
    return path


def check_files(name: str, value: object) -> list[str]:
    items = check_texts(name, value)
    for item in items:
        if not any(mark in item for mark in "*?["):
            validate_file_exists(item)
            continue
        import glob

        if not glob.glob(item, recursive=True):
            import warnings

            warnings.warn(f"{name}: no file matches {item!r} now.", RuntimeWarning, stacklevel=4)
    return items


def check_statsd(name: str, value: object) -> str | tuple[str, int] | None:
    text = check_text(name, value)
    if text is None:
        return None
    # "unix:8125" is a host called unix; only unix:// or a path means a socket.
    if text.startswith("unix:") and text[5:].isdigit():
        return ("unix", int(text[5:]))
    try:
        address = _core.parse_address(text, 8125)
    except ValueError:
        address = 0
    if isinstance(address, int):
        raise TypeError(f"{name} must be HOST:PORT or unix://PATH, not {value!r}.")
    return address


def check_tls_version(name: str, value: object) -> object:
    if value != 2:
        sys.stderr.write("Warning: ssl_version is ignored; set an ssl_context hook instead.\n")
    return value


def check_workers(name: str, value: object) -> int | str:
    """A number of processes, or "auto": worked out when it is first asked for."""
    if isinstance(value, str) and value.strip().lower() == "auto":
        return "auto"
    return check_int(name, value)


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "int": check_int,
    "octal": check_int,
    "size": check_int,
    "share": check_share,
    "flag": check_flag,
    "sendfile": check_flag,
    "text": check_text,
    "enum": check_enum,
    "texts": check_texts,
    "buffering": check_buffering,
    "csv": check_csv,
    "networks": check_csv,
    "protocols": check_csv,
    "dict": check_dict,
    "class": check_class,
    "hook": check_hook,
    "user": check_user,
    "group": check_group,
    "chdir": check_chdir,
    "files": check_files,
    "statsd": check_statsd,
    "tls_version": check_tls_version,
}


def check(name: str, kind: str, value: Any) -> Any:
    """The value that the setting `name` of the table keeps for what was given."""
    if name == "workers":
        return check_workers(name, value)
    return CHECKS[kind](name, value)


def validate_file_exists(value: str | None) -> str | None:
    if value is not None and not os.path.exists(value):
        raise ValueError(f"The file {value} does not exist.")
    return value


def validate_callable(arity: int) -> Callable[[Any], Any]:
    """A validator for hooks of a user's own: a callable of `arity` positional parameters."""

    def validator(value: Any) -> Any:
        if isinstance(value, str):
            value = _import_callable("The hook", value)
        if not callable(value):
            raise TypeError(f"The hook must be a function, not {value!r}.")
        if arity not in (-1, util.get_arity(value)):
            raise TypeError(f"The hook must take {arity} arguments: {value!r}.")
        return value

    return validator


# gunicorn's public names for the checks, each with a setting whose rules are meant. Users' own
# Setting classes name them.
_PUBLIC = {
    "validate_bool": "reload",
    "validate_dict": "logconfig_dict",
    "validate_pos_int": "backlog",
    "validate_ssl_version": "ssl_version",
    "validate_string": "pidfile",
    "validate_list_string": "raw_env",
    "validate_list_of_files_or_patterns": "reload_extra_files",
    "validate_string_to_list": "forwarder_headers",
    "validate_string_to_addr_list": "forwarded_allow_ips",
    "validate_class": "worker_class",
    "validate_user": "user",
    "validate_group": "group",
    "validate_post_request": "post_request",
    "validate_chdir": "chdir",
    "validate_statsd_address": "statsd_host",
    "validate_reload_engine": "reload_engine",
    "validate_header_map_behaviour": "header_map",
    "validate_proxy_protocol": "proxy_protocol",
    "validate_asgi_loop": "asgi_loop",
    "validate_asgi_lifespan": "asgi_lifespan",
    "validate_http_parser": "http_parser",
    "validate_http_protocols": "http_protocols",
    "validate_http2_cleartext": "http2_cleartext",
    "validate_http2_frame_size": "http2_max_frame_size",
    "validate_http2_stream_limit": "http2_max_concurrent_streams",
    "validate_http2_window_size": "http2_initial_window_size",
}


def __getattr__(name: str) -> Callable[[Any], Any]:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    setting = _PUBLIC[name]
    kind = _core.setting_row(setting)[5]

    def validator(value: Any) -> Any:
        try:
            return CHECKS[kind](setting, value)
        except (TypeError, ValueError) as error:
            # The sentence names the model setting, not the user's.
            raise type(error)(str(error).replace(setting, "The value", 1)) from None

    validator.__name__ = name
    return validator
