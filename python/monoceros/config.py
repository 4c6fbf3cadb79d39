"""Config: every setting with its value, from the table in the C++ core (src/config/settings.def).

The values live in one dict; Setting objects are made only for who asks for them. Classes of
settings, KNOWN_SETTINGS and the validators exist under gunicorn's names, made on first use.
"""

from __future__ import annotations

import os
import sys

from monoceros import _core, compat
from monoceros.errors import ConfigError
from monoceros.settings import validators
from monoceros.settings.validators import auto_int
from monoceros.util import getcwd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

# Relative names of configuration files mean this directory for ever: on reload and upgrade too.
LAUNCH_DIR = getcwd()
CONFIG_FILES = ("monoceros.conf.py", "gunicorn.conf.py")
CMD_ARGS = ("MONOCEROS_CMD_ARGS", "GUNICORN_CMD_ARGS")

# The user's own Setting classes, in the order of their definition.
_registered: list[type[Setting]] = []


class SettingMeta(type):
    """Registers each subclass of Setting that names a setting, and keeps validators plain."""

    def __new__(
        cls, name: str, bases: tuple[type, ...], body: dict[str, Any], register: bool = True
    ) -> SettingMeta:
        validator = body.get("validator")
        if callable(validator) and not isinstance(validator, staticmethod):
            body["validator"] = staticmethod(validator)
        desc = body.get("desc") or ""
        body.setdefault("short", desc.strip().partition("\n")[0])
        made = super().__new__(cls, name, bases, body)
        if register and body.get("name"):
            setattr(made, "order", len(_core.settings_table()) + len(_registered))  # noqa: B010
            _registered.append(made)  # type: ignore[arg-type]
        return made

    def __init__(
        cls, name: str, bases: tuple[type, ...], body: dict[str, Any], register: bool = True
    ) -> None:
        super().__init__(name, bases, body)


class Setting(metaclass=SettingMeta):
    """One setting. Subclass it, with a name, to give monoceros a setting of your own."""

    __slots__ = ("value",)
    name: str | None = None
    section: str | None = None
    cli: list[str] | None = None
    validator: Any = None
    type: Any = None
    meta: str | None = None
    action: str | None = None
    default: Any = None
    short: str = ""
    desc: str = ""
    nargs: Any = None
    const: Any = None
    order = 0

    def __init__(self) -> None:
        self.value: Any = None
        if self.default is not None:
            self.set(self.default)

    def get(self) -> Any:
        return self.value

    def set(self, val: Any) -> None:
        if not callable(self.validator):
            raise TypeError(f"The validator of {self.name} is not callable.")
        self.value = self.validator(val)

    def copy(self) -> Setting:
        import copy

        return copy.copy(self)

    def add_option(self, parser: argparse.ArgumentParser) -> None:
        """Adds this setting's flags to a parser; a setting without flags adds nothing."""
        from monoceros.settings import cli

        cli.add_option(parser, self)

    def __lt__(self, other: Setting) -> bool:
        return self.section == other.section and self.order < other.order

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} = {self.get()!r}>"


class TableSetting(Setting, register=False):
    """A row of the table, over a dict of values: a Config's, or its own."""

    __slots__ = ("_values",)
    name: str

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self._values = default_values() if values is None else values

    @property
    def value(self) -> Any:
        return self._values[self.name]

    def get(self) -> Any:
        return self._values[self.name]

    def set(self, val: Any) -> None:
        kind = _core.setting_row(self.name)[5]
        self._values[self.name] = validators.check(self.name, kind, val)


def _class_of(row: _core._Row) -> type[Setting]:
    """The class for a row, made once and kept under its public name in this module."""
    name, klass, section, flags, metavar, kind, default, _, doc = row[:9]
    made = globals().get(klass)
    if made is not None:
        return made  # type: ignore[no-any-return]
    short = doc.partition(". ")[0].rstrip(".") + "."
    body: dict[str, Any] = {
        "__slots__": (),
        "__module__": __name__,
        "__doc__": doc,
        "name": name,
        "section": section,
        "cli": flags.split("|") if flags else None,
        "meta": metavar or None,
        "default": default_hook(name) if kind == "hook" else default,
        "desc": doc,
        "short": short,
        "validator": lambda value: validators.check(name, kind, value),
        "order": [other[0] for other in _core.settings_table()].index(name),
    }
    if kind in ("int", "octal") and metavar:
        body["type"] = int
    elif kind == "flag":
        body["action"] = "store_true"
    elif kind == "sendfile":
        body.update(action="store_const", const=False)
    elif kind in ("texts", "files", "buffering"):
        body["action"] = "append"
    if name == "proxy_protocol":
        body.update(nargs="?", const="auto")
    fresh: Any = SettingMeta(klass, (TableSetting,), body, register=False)
    globals()[klass] = fresh
    return fresh  # type: ignore[no-any-return]


# ---- Hooks that do nothing: known by identity, so that nobody pays for calling them.


class _NoHook:
    """The default of a hook; `cfg.is_default(name)` tells callers to skip it."""

    __slots__ = ("klass", "name")

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> Any:
        if self.name == "ssl_context":
            return args[1]()
        if self.name == "pre_request":
            worker, req = args
            worker.log.debug("%s %s", req.method, req.path)
        return None

    def __repr__(self) -> str:
        return f"<{_core.setting_row(self.name)[1]}.{self.name}()>"


_hooks: dict[str, _NoHook] = {}


def default_hook(name: str) -> _NoHook:
    if not _hooks:
        _hooks.update((hook, _NoHook(hook)) for hook in _core.setting_names("hook"))
    return _hooks[name]


def _workers_of(text: str | None) -> int | str | None:
    if text is None:
        return None
    try:
        return validators.check_workers("workers", text)
    except (TypeError, ValueError):
        raise ConfigError(
            "The environment variable WEB_CONCURRENCY must be a number of workers or auto, "
            f"not {text!r}."
        ) from None


def default_values(sources: dict[str, str] | None = None) -> dict[str, Any]:
    """Every setting's value before any configuration; the environment's own are noted."""
    environ = os.environ
    values: dict[str, Any] = _core.setting_values()
    if not _hooks:
        default_hook("on_exit")
    values.update(_hooks)
    if compat.in_use():
        values["default_proc_name"] = compat.NAME
    values["user"] = os.geteuid()
    values["group"] = os.getegid()
    values["chdir"] = getcwd()
    noted = {} if sources is None else sources
    port = environ.get("PORT")
    if port is not None:
        values["bind"] = ["0.0.0.0:" + port]
        noted["bind"] = "environment variable PORT"
    workers = _workers_of(environ.get("WEB_CONCURRENCY"))
    if workers is not None:
        values["workers"] = workers
        noted["workers"] = "environment variable WEB_CONCURRENCY"
    trusted = environ.get("FORWARDED_ALLOW_IPS")
    if trusted is not None:
        try:
            values["forwarded_allow_ips"] = _core.parse_setting("forwarded_allow_ips", trusted)
        except ValueError as error:
            raise ConfigError(f"The environment variable FORWARDED_ALLOW_IPS: {error}") from None
        noted["forwarded_allow_ips"] = "environment variable FORWARDED_ALLOW_IPS"
    return values


class Config:
    """All settings of one server. Read them as attributes; change them with set()."""

    def __init__(self, usage: str | None = None, prog: str | None = None) -> None:
        state = self.__dict__
        state["sources"] = {}
        state["values"] = default_values(state["sources"])
        state["workers_reason"] = None
        state["custom"] = {made.name: made() for made in _registered}
        self.source = "application"
        self.usage = usage
        self.prog = prog or os.path.basename(sys.argv[0])
        self.env_orig = os.environ.copy()

    # ---- reading

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__
        if name in state.get("custom", ()):
            return state["custom"][name].get()
        try:
            return state["values"][name]
        except KeyError:
            raise AttributeError(_no_such_setting(name)) from None

    def __setattr__(self, name: str, value: object) -> None:
        state = self.__dict__
        if name in state["values"] or name in state["custom"]:
            raise AttributeError(f"Settings are changed with cfg.set({name!r}, value).")
        object.__setattr__(self, name, value)

    @property
    def settings(self) -> dict[str, Setting]:
        """Every setting by name, as objects over this Config's values."""
        made = self.__dict__.get("_settings")
        if made is None:
            made = {
                row[0]: _class_of(row)(self.values)  # type: ignore[call-arg]
                for row in _core.settings_table()
            }
            made.update(self.custom)
            self.__dict__["_settings"] = made
        return made

    def __str__(self) -> str:
        names = sorted(set(self.values) | set(self.custom))
        _ = self.workers  # puts a number in the place of auto
        width = max(len(name) for name in names)
        lines = []
        for name in names:
            value = getattr(self, name) if name in self.custom else self.values[name]
            if callable(value) and not isinstance(value, _NoHook):
                value = f"<{getattr(value, '__qualname__', type(value).__qualname__)}()>"
            lines.append(f"{name:{width}} = {value}")
        return "\n".join(lines)

    def is_default(self, hook: str) -> bool:
        """Whether nobody set this hook, so that calling it may be skipped."""
        return isinstance(self.values[hook], _NoHook)

    # ---- changing

    def set(self, name: str, value: Any) -> None:
        """Checks and keeps a value. Raises AttributeError for an unknown name; see validators."""
        if name in self.custom:
            self.custom[name].set(value)
        elif name in self.values:
            kind = _core.setting_row(name)[5]
            self.values[name] = validators.check(name, kind, value)
        else:
            raise AttributeError(_no_such_setting(name))
        self.sources[name] = self.source

    def apply_profile(self) -> None:
        """Makes what `behind` says the defaults; called once all sources were read."""
        if self.behind == "none":
            return
        for behind, name, value, *_ in _core.profile_table():
            if behind == self.behind and name not in self.sources:
                self.values[name] = value
                self.sources[name] = f"behind={behind}"

    def validate(self) -> None:
        """Checks what no single setting can; called once all sources were read."""
        if "h2" in self.http_protocols and not self.is_ssl and self.http2_cleartext == "off":
            sys.stderr.write(
                "Warning: http_protocols names h2, but there is neither TLS nor http2_cleartext: "
                "no client can choose it.\n"
            )

    def not_yet(self) -> tuple[list[str], list[str]]:
        """Sentences about settings whose feature is not built: (warnings, refusals)."""
        warnings: list[str] = []
        refusals: list[str] = []
        defaults: dict[str, Any] = _core.setting_values()
        for name in self.sources:
            if name not in defaults or self.values[name] == defaults[name]:
                continue
            ready, note = _core.setting_row(name)[10:12]
            if ready == "later":
                warnings.append(f"{name} has no effect yet: {note}.")
            elif ready == "refuse":
                refusals.append(f"{name} cannot be used yet: {note}.")
        return warnings, refusals

    def freeze(self) -> _core.Settings:
        """The values that C++ reads. Make it after all configuration, before the fork."""
        values = dict(self.values)
        values["workers"] = self.workers
        values["sendfile"] = self.sendfile
        values["secure_scheme_headers"] = {
            str(key): str(value) for key, value in values["secure_scheme_headers"].items()
        }
        if values["header_map"] is None:
            values["header_map"] = "drop"
        return _core.Settings(values)

    # ---- derived values, under gunicorn's names

    @property
    def workers(self) -> int:
        value = self.values["workers"]
        if value == "auto":
            from monoceros.host import sizing

            advice = sizing.advise(self.worker_class_str)
            # The arbiter logs it; --explain shows it.
            self.__dict__["workers_reason"] = advice.reason
            value = self.values["workers"] = advice.workers
        return value  # type: ignore[no-any-return]

    @property
    def worker_class_str(self) -> str:
        value = self.values["worker_class"] or "sync"
        if isinstance(value, type):
            return value.__name__
        if self.threads > 1 and (value == "sync" or value.endswith("SyncWorker")):
            return "gthread"
        return value

    @property
    def worker_class(self) -> Any:
        from monoceros.util import load_class

        value = self.values["worker_class"]
        if not isinstance(value, type):
            value = load_class(self.worker_class_str)
        if compat.in_use():
            from monoceros.compat.top import rename

            rename(value)
        if hasattr(value, "setup"):
            value.setup()
        return value

    @property
    def address(self) -> list[str | int | tuple[str, int]]:
        from monoceros.util import parse_address

        return [parse_address(item) for item in self.bind]

    @property
    def uid(self) -> int:
        return self.user  # type: ignore[no-any-return]

    @property
    def gid(self) -> int:
        return self.group  # type: ignore[no-any-return]

    @property
    def proc_name(self) -> str:
        return self.values["proc_name"] or self.default_proc_name  # type: ignore[no-any-return]

    @property
    def logger_class(self) -> Any:
        from monoceros.util import load_class

        value = self.values["logger_class"]
        if value in (None, "simple", "gunicorn.glogging.Logger"):
            value = "monoceros.glogging.Logger"
        if value == "monoceros.glogging.Logger" and self.statsd_host:
            value = "monoceros.instrument.statsd.Statsd"
        made = load_class(value, "monoceros.glogging.Logger", "monoceros.loggers")
        if hasattr(made, "install"):
            made.install()
        return made

    @property
    def is_ssl(self) -> bool:
        return bool(self.certfile or self.keyfile or self.tls_certificates)

    @property
    def ssl_options(self) -> dict[str, Any]:
        return {row[0]: self.values[row[0]] for row in _core.settings_table() if row[2] == "SSL"}

    @property
    def env(self) -> dict[str, str]:
        pairs = {}
        for item in self.raw_env:
            name, equals, value = item.partition("=")
            if not equals:
                raise RuntimeError(f"raw_env needs KEY=VALUE, not {item!r}.")
            pairs[name] = value
        return pairs

    @property
    def sendfile(self) -> bool:
        value = self.values["sendfile"]
        if value is None:
            asked = os.environ.get("SENDFILE")
            value = asked is None or asked.lower() in ("y", "1", "yes", "true")
        return value  # type: ignore[no-any-return]

    @property
    def reuse_port(self) -> bool:
        return bool(self.values["reuse_port"])

    @property
    def paste_global_conf(self) -> dict[str, str] | None:
        pairs: dict[str, str] = {}
        for item in self.raw_paste_global_conf:
            # An escaped "=" belongs to the name: hide it behind a NUL while splitting.
            name, equals, value = item.replace("\\=", "\0").partition("=")
            if not equals:
                raise RuntimeError(f"raw_paste_global_conf needs KEY=VALUE, not {item!r}.")
            pairs[name.replace("\0", "=").strip()] = value.replace("\0", "=").strip()
        return pairs

    def forwarded_allow_networks(self) -> list[Any]:
        return _networks(self.forwarded_allow_ips)

    def proxy_allow_networks(self) -> list[Any]:
        return _networks(self.proxy_allow_ips)

    # ---- the command line

    def parser(self) -> argparse.ArgumentParser:
        from monoceros.settings import cli

        return cli.build_parser(self)

    def get_cmd_args_from_env(self) -> list[str]:
        for name in CMD_ARGS:
            if name in self.env_orig:
                import shlex

                return shlex.split(self.env_orig[name])
        return []


def _networks(items: list[str]) -> list[Any]:
    import ipaddress

    return [ipaddress.ip_network(item) for item in items if item != "*"]


def _no_such_setting(name: str) -> str:
    near = _core.nearest_setting(name)
    hint = f"; did you mean {near}?" if near else "."
    return f"There is no setting called {name}{hint}"


def get_default_config_file() -> str | None:
    """The first of monoceros.conf.py and gunicorn.conf.py in the current directory, or None."""
    for name in CONFIG_FILES:
        path = os.path.join(os.path.abspath(os.getcwd()), name)
        if os.path.exists(path):
            return path
    return None


def make_settings(ignore: list[str] | None = None) -> dict[str, Setting]:
    """A fresh object for every setting, by name."""
    made = {}
    for known in __getattr__("KNOWN_SETTINGS"):
        if known.name not in (ignore or ()):
            made[known.name] = known()
    return made


def __getattr__(name: str) -> Any:
    if name.startswith("validate_"):
        return getattr(validators, name)
    if name == "KNOWN_SETTINGS":
        return [_class_of(row) for row in _core.settings_table()] + _registered
    if name[:1].isupper():
        for row in _core.settings_table():
            if row[1] == name:
                return _class_of(row)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "CMD_ARGS",
    "CONFIG_FILES",
    "Config",
    "Setting",
    "auto_int",
    "get_default_config_file",
]
