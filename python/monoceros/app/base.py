"""BaseApplication and Application: where settings come from, and how a server starts.

Order of the sources, later wins: defaults and environment, the application's own init(), one
configuration file, MONOCEROS_CMD_ARGS (or GUNICORN_CMD_ARGS), the command line. A profile
(`behind`) changes only what none of them, the defaults aside, has set.
"""

from __future__ import annotations

import os
import sys

from monoceros import compat, util
from monoceros.config import CONFIG_FILES, Config, get_default_config_file
from monoceros.errors import ConfigError, ConfigFileError
from monoceros.host import daemon
from monoceros.workers import patching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

OURS = (None, "simple", "gunicorn.glogging.Logger", "monoceros.glogging.Logger")


class BaseApplication:
    """A server that is configured by Python code: override load_config() and load().

    The configuration is loaded by the constructor, so set your own attributes before
    super().__init__(). Command line, environment and files are not read here.
    """

    def __init__(self, usage: str | None = None, prog: str | None = None) -> None:
        daemon.open_standard_streams()
        self.usage = usage
        self.cfg: Config = None  # type: ignore[assignment]
        self.callable: Any = None
        self.prog = prog
        self.logger: Any = None
        self._hinted: set[str] = set()  # what a hint was given for
        self._config_modules: dict[str, Any] = {}  # by name: ConfigModules
        self.do_load_config()

    def do_load_config(self) -> None:
        """Loads everything; a mistake is one sentence on stderr and exit status 1."""
        try:
            self._load_all_config()
        except Exception as error:
            stop_with(error)

    def _load_all_config(self) -> None:
        self.load_default_config()
        self.load_config()
        self.cfg.apply_profile()
        self.cfg.validate()
        self._hint_at_atoms()

    def _hint_at_atoms(self) -> None:
        text = self.cfg.access_log_format
        if "access_log_format" in self.cfg.sources and self.cfg.values["logger_class"] in OURS:
            from monoceros.logs import access_format

            hints = [] if access_format.fault(text) else access_format.hints(text)
            for hint in hints:
                if hint not in self._hinted:
                    self._hinted.add(hint)
                    util.warn(hint)

    def load_default_config(self) -> None:
        self.cfg = Config(self.usage, prog=self.prog)

    def init(self, parser: Any, opts: Any, args: list[str]) -> Any:
        raise NotImplementedError

    def load_config(self) -> None:
        """Override: call self.cfg.set(name, value) for what differs from the defaults."""
        raise NotImplementedError

    def load(self) -> Any:
        """Override: return the WSGI or ASGI application."""
        raise NotImplementedError

    def reload(self) -> None:
        """Reads the configuration again (SIGHUP). Raises what is wrong, for the master's log."""
        self._load_all_config()
        if self.cfg.spew:
            from monoceros import debug

            debug.spew()

    def wsgi(self) -> Any:
        """The application, loaded at the first call in this process."""
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def run(self) -> None:
        from monoceros.arbiter import Arbiter

        self._say_what_matters()
        try:
            Arbiter(self).run()
        except (ConfigError, RuntimeError) as error:
            stop_with(error)

    def _say_what_matters(self) -> None:
        """Settings whose feature is not built are never passed over in silence."""
        warnings, refusals = self.cfg.not_yet()
        if refusals:
            stop_with(RuntimeError(" ".join(refusals)))
        for sentence in warnings:
            util.warn(sentence)
        refuse_foreign_user(self.cfg)
        _ = self.cfg.workers  # works auto out
        if self.cfg.workers_reason:
            sys.stderr.write(self.cfg.workers_reason + "\n")


def refuse_foreign_user(cfg: Config) -> None:
    """Workers that could not become the user that was asked for would never start."""
    mine = os.geteuid()
    if cfg.uid in (0, mine) and cfg.gid in (0, os.getegid()):
        return
    from monoceros.host import users

    if mine == 0 or users.may_change_user():
        return
    name = users.user_name(mine) or mine
    stop_with(
        RuntimeError(
            f"user and group need root, and this process runs as {name}: leave them out, or "
            "start it as root."
        )
    )


def stop_with(error: Exception) -> NoReturn:
    """Says what is wrong and ends the process with status 1."""
    sys.stdout.flush()
    if isinstance(error, ConfigFileError):
        import traceback

        sys.stderr.write(f"{error}\n")
        traceback.print_exception(error.__cause__)
    else:
        sys.stderr.write(f"\nError: {error}\n")
    sys.stderr.flush()
    sys.exit(1)


class Application(BaseApplication):
    """A server that is configured by files, environment and command line."""

    @property
    def init_needs_parser(self) -> bool:
        """Whether init() may use its parser, which takes time to build."""
        return True

    def chdir(self) -> None:
        os.chdir(self.cfg.chdir)
        if self.cfg.chdir not in sys.path:
            sys.path.insert(0, self.cfg.chdir)
        real = os.getcwd()
        if real != self.cfg.chdir:  # a link, which may lead to another release at a reload
            sys.path[:] = [place for place in sys.path if place != real]

    def load_config(self) -> None:
        compat.install_for_command()
        cfg = self.cfg
        parser, opts = self._parse(sys.argv[1:], self.init_needs_parser)
        framework = self.init(parser, opts, opts.args or [])
        self.chdir()
        for name, value in (framework or {}).items():
            cfg.set(name.lower(), value)
        cfg.source = "environment variable " + self._env_args_name()
        env_args = cfg.get_cmd_args_from_env()
        env_opts = self._parse(env_args, False)[1] if env_args else None
        asked = opts.worker_class or (env_opts.worker_class if env_opts else None)
        self._load_file(opts.config or (env_opts.config if env_opts else None), asked)
        if env_opts is not None:
            cfg.source = "environment variable " + self._env_args_name()
            self._apply(env_opts)
        cfg.source = "command line"
        self._apply(opts)
        self.chdir()

    def _parse(self, argv: list[str], needs_parser: bool) -> tuple[Any, Any]:
        from monoceros.settings import cli

        # The short cut knows the table's flags only, not those of a user's own settings.
        if not needs_parser and not self.cfg.custom:
            opts = cli.quick(argv)
            if opts is not None:
                return None, opts
        parser = self.cfg.parser()
        return parser, parser.parse_args(argv)

    def _env_args_name(self) -> str:
        from monoceros.config import CMD_ARGS

        return next((name for name in CMD_ARGS if name in self.cfg.env_orig), CMD_ARGS[0])

    def _apply(self, opts: Any) -> None:
        for name, value in vars(opts).items():
            if value is not None and name != "args":
                self.cfg.set(name.lower(), value)

    # ---- the configuration file

    def _load_file(self, named: str | None, worker_class: str | None) -> None:
        """worker_class: that counts more than the file's."""
        location = named or get_default_config_file()
        if location is None:
            return
        self.cfg.source = f"file {location}"
        green = patching.names_gevent(worker_class or self.cfg.values["worker_class"])
        if not worker_class:
            green = green or patching.file_names_gevent(location.removeprefix("file:"))
        with patching.BeforeSsl(green):
            self.load_config_from_module_name_or_filename(location)

    def get_config_from_filename(self, filename: str) -> dict[str, Any]:
        """Runs a configuration file and returns its globals."""
        if not os.path.exists(filename):
            raise RuntimeError(f"The configuration file {filename!r} does not exist.")
        if os.path.splitext(filename)[1] not in (".py", ".pyc"):
            util.warn(f"the configuration file {filename} should have the suffix .py.")
        module = type(sys)("__config__")
        module.__file__ = os.path.abspath(filename)
        sys.modules["__config__"] = module
        try:
            exec(_compiled(module.__file__), module.__dict__)
        except Exception as error:
            if not filename.endswith((".py", ".pyc")) and isinstance(
                error, SyntaxError | NameError
            ):
                raise RuntimeError(_no_python(filename, error)) from None
            raise ConfigFileError(filename) from error
        return vars(module)

    def get_config_from_module_name(self, module_name: str) -> dict[str, Any]:
        """Imports a module, afresh at each reload, and returns its globals."""
        from monoceros.settings.config_module import ConfigModules

        former = self._config_modules.get(module_name)
        loaded = ConfigModules.load(module_name, former)
        self._config_modules = {**self._config_modules, module_name: loaded}
        return loaded.values

    def load_config_from_module_name_or_filename(self, location: str) -> dict[str, Any]:
        """Applies PATH, file:PATH or python:MODULE, and returns its globals."""
        if location.startswith("python:"):
            found = self.get_config_from_module_name(location[len("python:") :])
        else:
            path = location[len("file:") :] if location.startswith("file:") else location
            found = self.get_config_from_filename(path)
        for name, value in list(found.items()):
            if name not in self.cfg.values and name not in self.cfg.custom:
                self._warn_near_miss(location, name, value)
                continue
            try:
                self.cfg.set(name, value)
            except Exception:
                sys.stderr.write(f"Invalid value for {name}: {value}\n\n")
                sys.stderr.flush()
                raise
        return found

    def _warn_near_miss(self, location: str, name: str, value: object) -> None:
        """Once a name: other names are the file's own business."""
        near = None if name in self._hinted else _setting_meant(name, value)
        if near is not None:
            self._hinted.add(name)
            util.warn(f"{location} sets {name}, which is no setting: did you mean {near}?")

    def load_config_from_file(self, filename: str) -> dict[str, Any]:
        return self.load_config_from_module_name_or_filename(filename)

    # ---- running

    def run(self) -> None:
        cfg = self.cfg
        if cfg.explain:
            from monoceros.settings import explain

            sys.stdout.write(explain.report(cfg))
            sys.exit(0)
        if cfg.print_config:
            print(cfg)
        if cfg.print_config or cfg.check_config:
            self._check()
        if cfg.spew:
            from monoceros import debug

            debug.spew()
        if cfg.daemon:
            if os.environ.get("NOTIFY_SOCKET"):
                util.warn("daemon is set, but systemd (NOTIFY_SOCKET) runs this: use Type=forking.")
            daemon.detach(cfg.enable_stdio_inheritance)
        for path in reversed((cfg.pythonpath or "").split(",")):
            if path.strip() and os.path.abspath(path.strip()) not in sys.path:
                sys.path.insert(0, os.path.abspath(path.strip()))
        super().run()

    def _check(self) -> NoReturn:
        """Imports the application, and exits with 0 or 1."""
        from monoceros.logs.access_format import fault_for

        try:
            logger = self.cfg.logger_class
        except RuntimeError as error:
            stop_with(error)
        try:
            self.load()
            fault = fault_for(self.cfg.access_log_format, logger)
        except SystemExit:
            raise  # the application's own word
        except BaseException:
            import traceback

            sys.stderr.write("\nError while loading the application:\n\n")
            traceback.print_exc()
            sys.stderr.flush()
            sys.exit(1)
        if fault is not None:
            stop_with(ConfigError(fault))
        sys.exit(0)


def _no_python(filename: str, error: Exception) -> str:
    return (
        f"The configuration file {filename} is not written in Python ({error}). Settings are "
        "assignments, such as workers = 4; a PasteDeploy file is given with --paste."
    )


def _compiled(filename: str) -> Any:
    if filename.endswith(".pyc"):
        import marshal

        with open(filename, "rb") as pyc:
            return marshal.loads(pyc.read()[16:])
    with open(filename, "rb") as source:
        return compile(source.read(), filename, "exec", dont_inherit=True)


def _setting_meant(name: str, value: object) -> str | None:
    """The setting whose name was misspelt, or taken from its flag: preload for preload_app."""
    if name.startswith("_") or name != name.lower() or isinstance(value, type | type(sys)):
        return None
    from monoceros import _core

    flag = _core.find_flag("--" + name.replace("_", "-")) if len(name) > 4 else None
    near = flag[0] if flag else _core.nearest_setting(name)
    if near is None or not (flag or _looks_misspelt(name, near)):
        return None
    if callable(value) and _core.setting_row(near)[5] != "hook":
        return None
    return near


def _looks_misspelt(name: str, near: str) -> bool:
    plain, near_plain = name.replace("_", ""), near.replace("_", "")
    return (
        plain == near_plain
        or (len(name) > 4 and sorted(plain) == sorted(near_plain))
        or (
            len(name) > 4
            and abs(len(plain) - len(near_plain)) <= 1
            and _one_edit(plain, near_plain)
        )
    )


def _one_edit(left: str, right: str) -> bool:
    """Whether one letter was added, left out or replaced."""
    if len(left) > len(right):
        left, right = right, left
    same = 0
    while same < len(left) and left[same] == right[same]:
        same += 1
    return left[same:] == right[same + 1 :] or left[same + 1 :] == right[same + 1 :]


__all__ = ["CONFIG_FILES", "Application", "BaseApplication"]
