"""Logger: the error log and, where C++ does not write it, the access log.

Two states. Light: no handler is needed but standard error, so lines are written here and Python's
logging is not imported (2 MiB and 10 ms a process). Full: logging's loggers gunicorn.error and
gunicorn.access are set up. Light becomes full as soon as anybody imports logging, asks for a
logger, or the configuration needs one.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import RLock

from monoceros import _core, util
from monoceros.logs.escape import escape
from monoceros.logs.sink import std_sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    import logging
    from collections.abc import Callable
    from typing import Any

SYSLOG_FACILITIES = {
    "auth": 4, "authpriv": 10, "cron": 9, "daemon": 3, "ftp": 11, "kern": 0, "lpr": 6, "mail": 2,
    "news": 7, "security": 4, "syslog": 5, "user": 1, "uucp": 8, "local0": 16, "local1": 17,
    "local2": 18, "local3": 19, "local4": 20, "local5": 21, "local6": 22, "local7": 23,
}  # fmt: skip

CONFIG_DEFAULTS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        name: {"level": "INFO", "handlers": [handler], "propagate": True, "qualname": name}
        for name, handler in (("gunicorn.error", "error_console"), ("gunicorn.access", "console"))
    },
    "handlers": {
        name: {"class": "logging.StreamHandler", "formatter": "generic", "stream": stream}
        for name, stream in (("console", "ext://sys.stdout"), ("error_console", "ext://sys.stderr"))
    },
    "formatters": {
        "generic": {
            "format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
            "datefmt": "[%Y-%m-%d %H:%M:%S %z]",
            "class": "logging.Formatter",
        }
    },
}


def loggers() -> list[logging.Logger]:
    """Every logger that exists, but not the root."""
    import logging

    return [logging.getLogger(name) for name in logging.root.manager.loggerDict]


class SafeAtoms(dict[str, "Any"]):
    """Atoms of an access line; absent ones read as "-", {names} in any case."""

    def __init__(self, atoms: dict[str, Any]) -> None:
        super().__init__()
        for key, value in atoms.items():
            self[key] = escape(value) if isinstance(value, str) else value

    def __getitem__(self, key: str) -> Any:
        if key.startswith("{"):
            key = key.lower()
        return self.get(key, "-")

    def __repr__(self) -> str:
        """Not the values, cookies among them: logging prints the arguments of a bad format."""
        return f"<{len(self)} atoms of an access line>"


def parse_syslog_address(addr: str) -> tuple[Any, str | tuple[str, int]]:
    """(socket kind or None for "try both", path or (host, port)) of a syslog_addr."""
    import socket

    if addr.startswith("unix://"):
        path, mark, kind = addr[len("unix://") :].partition("#")
        return (socket.SOCK_DGRAM if mark and kind == "dgram" else None), path
    for scheme, kind_of_socket in (("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM)):
        if addr.startswith(scheme + "://"):
            rest = addr[len(scheme) + 3 :]
            return kind_of_socket, util.parse_address(rest or "localhost", 514)
    raise RuntimeError(f"syslog_addr must be udp://, tcp:// or unix://, not {addr!r}.")


class _LoggingWatch:
    """Calls `then` right after somebody imports logging for the first time."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.then = then

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != "logging":
            return None
        self.stop()
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: Any) -> None:
            del loader.exec_module
            run(module)
            self.then()

        loader.exec_module = exec_module
        return spec

    def start(self) -> None:
        sys.meta_path.insert(0, self)

    def stop(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)


class Logger:
    """gunicorn's logger interface. Methods may be called from any thread and from hooks."""

    LOG_LEVELS = {"critical": 50, "error": 40, "warning": 30, "info": 20, "debug": 10}
    loglevel = 20
    error_fmt = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = "[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"
    atoms_wrapper_class: Any = SafeAtoms

    error_log: logging.Logger
    access_log: logging.Logger

    def __init__(self, cfg: Any) -> None:
        self.lock = RLock()
        self.logfile: Any = None
        self.handover: Any = None  # of logs.files; in a worker that may open less than the master
        self._syslog: Any = None
        self.error_handlers: list[Any] = []
        self.access_handlers: list[Any] = []
        self.cfg = cfg
        self._light = False
        self._watch: _LoggingWatch | None = None
        self.setup(cfg)

    def __getattr__(self, name: str) -> Any:
        # The loggers are absent while light: whoever asks for one ends that.
        if name in ("error_log", "access_log") and "_light" in self.__dict__:
            self._make_loggers()
            if self._light:
                self._become_full()
            return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # ---- setting up

    def setup(self, cfg: Any) -> None:
        """Applies a configuration, at start and at each reload. RuntimeError if it cannot be;
        the one before then goes on."""
        before = self.cfg
        try:
            self._setup(cfg)
        except Exception:
            if before is not cfg:
                self._setup(before)
            raise

    def _setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.loglevel = self.LOG_LEVELS.get((cfg.loglevel or "").lower(), 20)
        self._access_log_enabled = self._compute_access_log_enabled(cfg)
        if "access_log_format" in cfg.sources:
            from monoceros.logs import access_format

            fault = access_format.fault_for(cfg.access_log_format, type(self))
            if fault is not None:
                raise RuntimeError(fault)
        if type(self) is Logger and "logging" not in sys.modules and _is_plain(cfg):
            self._light = True
            self._stderr_sink()
            if self._watch is None:
                self._watch = _LoggingWatch(self._become_full)
                self._watch.start()
            return
        self._configure(cfg)

    def _become_full(self) -> None:
        with self.lock:
            if self._light:
                self._configure(self.cfg)

    def _make_loggers(self) -> None:
        import logging

        if "error_log" not in self.__dict__:
            self.error_log = logging.getLogger("gunicorn.error")
            self.access_log = logging.getLogger("gunicorn.access")
            self.error_log.propagate = False
            self.access_log.propagate = False
            from monoceros.logs import keeper

            keeper.keep(self.error_log)
            keeper.keep(self.access_log)

    def _configure(self, cfg: Any) -> None:
        import logging

        self._light = False
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        self._make_loggers()
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        if cfg.capture_output and cfg.errorlog != "-":
            self._capture(cfg.errorlog)
        self._set_handler(
            self.error_log, cfg.errorlog, logging.Formatter(self.error_fmt, self.datefmt)
        )
        self._set_handler(
            self.access_log, cfg.accesslog, logging.Formatter(self.access_fmt), sys.stdout
        )
        self._remove_syslog(self.error_log, self.access_log)
        if cfg.syslog:
            self._set_syslog_handler(self.error_log, cfg, self.syslog_fmt, "error")
            if not cfg.disable_redirect_access_to_syslog:
                self._set_syslog_handler(self.access_log, cfg, self.syslog_fmt, "access")
        if _apply_logconfig(cfg):
            from monoceros.logs import handlers

            plain = [*self.error_log.handlers, *self.access_log.handlers]
            handlers.adopt([*plain, *logging.getLogger().handlers])
            self._give_files_away()
        in_core = self.access_in_core and _core.Engine.can_format(cfg.access_log_format)
        if self._access_log_enabled and not in_core:
            # Now: once, before the fork, and by who may read it.
            import datetime  # noqa: F401

            from monoceros.logs import access  # noqa: F401

    def _capture(self, path: str, handed: int = -1) -> None:
        """Lets standard output and error go to a file; this process and its workers."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        from monoceros.logs import files

        fd = os.dup(handed) if handed >= 0 else None
        opened: Any = open(  # noqa: SIM115
            fd or path, "a+", encoding="utf-8", opener=files.opener
        )
        os.set_blocking(opened.fileno(), True)  # for print()
        os.dup2(opened.fileno(), 1)
        os.dup2(opened.fileno(), 2)
        if self.logfile is not None:
            self.logfile.close()
        self.logfile = opened

    def _get_gunicorn_handler(self, log: logging.Logger) -> Any:
        return next((h for h in log.handlers if getattr(h, "_gunicorn", False) is True), None)

    def _set_handler(
        self, log: logging.Logger, output: str | None, fmt: Any, stream: Any = None
    ) -> None:
        """Gives `log` one handler of ours, in the place of the one before."""
        from monoceros.logs import handlers

        old = self._get_gunicorn_handler(log)
        if old is not None:
            log.removeHandler(old)
            old.end()
        if output is None:
            return
        handler: handlers.StreamHandler | handlers.FileHandler
        if output == "-":
            handler = handlers.StreamHandler(stream)
        else:
            try:
                handler = handlers.FileHandler(output)
            except OSError as error:
                raise RuntimeError(f"The log file {output!r} cannot be written: {error}") from error
        handler.setFormatter(fmt)
        handler.find_sink()  # now: the master may open what a worker may not
        setattr(handler, "_gunicorn", True)  # noqa: B010
        log.addHandler(handler)
        self._give_files_away()

    def _give_files_away(self) -> None:
        # Whatever is open belongs to whom the workers run as.
        from monoceros.logs import files

        if self.handover is None:
            for handler in _file_handlers():
                if handler.stream:
                    files.give_away(handler.stream.fileno(), self.cfg.user, self.cfg.group)

    def _remove_syslog(self, *logs: logging.Logger) -> None:
        self._syslog = None
        for log in logs:
            ours: list[Any] = [h for h in log.handlers if getattr(h, "_gunicorn", "") == "syslog"]
            for handler in ours:
                log.removeHandler(handler)
                handler.end()

    def _set_syslog_handler(self, log: logging.Logger, cfg: Any, fmt: str, name: str) -> None:
        import logging

        from monoceros.logs.syslog import SyslogHandler, remote_for

        facility = SYSLOG_FACILITIES.get(str(cfg.syslog_facility).lower())
        if facility is None:
            raise RuntimeError(f"There is no syslog facility called {cfg.syslog_facility!r}.")
        if self._syslog is None:  # both logs have one way there, and say once that it is lost
            kind, address = parse_syslog_address(cfg.syslog_addr)
            self._syslog = remote_for(address, kind)
        prefix = cfg.syslog_prefix or cfg.proc_name.replace(":", ".")
        handler = SyslogHandler(self._syslog, facility)
        handler.setFormatter(logging.Formatter(f"gunicorn.{prefix}.{name}: {fmt}"))
        setattr(handler, "_gunicorn", "syslog")  # noqa: B010
        log.addHandler(handler)

    # ---- the error log

    def _say(self, level: int, name: str, msg: Any, args: Any, kwargs: Any) -> None:
        if self._light and not kwargs:
            if level >= self.loglevel:
                self._write_light(name.upper(), msg, args)
            return
        self._record(level, msg, args, kwargs)

    def _record(self, level: int, msg: Any, args: Any, kwargs: Any) -> None:
        # The record names who called this logger, or a subclass of it.
        log = self.error_log
        if log.isEnabledFor(level):
            own = 1
            # Not this one: with its f_locals it would hold itself, and all that its callers hold.
            frame = sys._getframe(1)
            while frame.f_code.co_name in _SPEAKERS and frame.f_locals.get("self") is self:
                own += 1
                if frame.f_back is None:
                    break
                frame = frame.f_back
            kwargs["stacklevel"] = own + kwargs.get("stacklevel", 1)
            log.log(level, msg, *args, **kwargs)

    def _write_light(self, level: str, msg: Any, args: Any) -> None:
        text = str(msg)
        if args:
            # As logging does: one dict is a source of names.
            text = text % (args[0] if len(args) == 1 and isinstance(args[0], dict) else args)
        stream = sys.stderr
        if stream is None:
            return
        line = f"{time.strftime(self.datefmt)} [{os.getpid()}] [{level}] {text}\n"
        sink = self._stderr_sink()
        try:
            if sink is not None:
                sink.write(line.encode(stream.encoding or "utf-8", "backslashreplace"))
            else:
                stream.write(line)
                stream.flush()
        except (OSError, ValueError):
            pass  # a broken or closed terminal must not stop the server

    def _stderr_sink(self) -> Any:
        return std_sink(sys.stderr)

    def critical(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._say(50, "critical", msg, args, kwargs)

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._say(40, "error", msg, args, kwargs)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._say(30, "warning", msg, args, kwargs)

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._say(20, "info", msg, args, kwargs)

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if self.loglevel <= 10 or not self._light:
            self._say(10, "debug", msg, args, kwargs)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._record(40, msg, args, {"exc_info": True, **kwargs})

    def log(self, lvl: int | str, msg: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(lvl, str):
            lvl = self.LOG_LEVELS.get(lvl.lower(), 20)
        self._record(lvl, msg, args, kwargs)

    # ---- the access log

    def _compute_access_log_enabled(self, cfg: Any) -> bool:
        by_config = cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json
        by_syslog = cfg.syslog and not cfg.disable_redirect_access_to_syslog
        return bool(cfg.accesslog or by_config or by_syslog)

    @property
    def access_log_enabled(self) -> bool:
        return self._access_log_enabled

    @property
    def access_in_core(self) -> bool:
        """Whether the C++ core may write the access log: nobody has changed how it is written.

        Ask after the application was loaded, which may have added handlers or filters.
        """
        cfg = self.cfg
        if any(getattr(type(self), name) is not value for name, value in _PLAIN.items()):
            return False
        if not cfg.accesslog or cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json:
            return False
        if cfg.syslog and not cfg.disable_redirect_access_to_syslog:
            return False
        if "access_log" not in self.__dict__:
            return True
        log = self.access_log
        plain = len(log.handlers) == 1 and self._get_gunicorn_handler(log) is not None
        return plain and not log.filters and not log.propagate and log.isEnabledFor(20)

    def now(self) -> str:
        """This moment as the access log writes it."""
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def atoms(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: datetime.timedelta
    ) -> dict[str, Any]:
        """What an access line may show of one request; docs/settings.md lists the atoms."""
        from monoceros.logs import access

        return access.atoms(self, resp, req, environ, request_time)

    def access(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: datetime.timedelta
    ) -> None:
        if not self._access_log_enabled:
            return
        try:
            found = self.atoms(resp, req, environ, request_time)
            pattern = self.cfg.access_log_format
            if pattern in ("json", "logfmt"):
                from monoceros.logs import access

                self.access_log.info("%s", access.ready_made(pattern, found))
            else:
                self.access_log.info(pattern, self.atoms_wrapper_class(found))
        except Exception:
            self.exception("The access log line could not be written.")

    # ---- files

    def reopen_files(self) -> None:
        """Closes and opens again every log file, for rotation by renaming (SIGUSR1)."""
        if self._light:
            return
        from monoceros.logs import files, handlers

        handed = self.handover.take() if self.handover is not None else {}
        if self.cfg.capture_output and self.cfg.errorlog != "-":
            try:
                self._capture(self.cfg.errorlog, handed.get(os.path.abspath(self.cfg.errorlog), -1))
            except OSError as error:
                self.error("%s cannot be opened again: %s", self.cfg.errorlog, error)
        for handler in _file_handlers():
            try:
                handlers.reopen(handler, handed.get(handler.baseFilename, -1))
            except OSError as error:
                self.error("%s cannot be opened again: %s", handler.baseFilename, error)
        files.close_all(handed)
        self._give_files_away()

    def open_files(self) -> dict[str, int]:
        # Path and descriptor of every log file that is open.
        if self._light:
            return {}
        return {item.baseFilename: item.stream.fileno() for item in _file_handlers() if item.stream}

    def access_fd(self) -> int:
        # The descriptor of the access log's file; -1: it goes to no file.
        return self.open_files().get(os.path.abspath(self.cfg.accesslog or "-"), -1)

    # ---- what an application makes of logging

    def heard(self) -> set[str]:
        # Which of our loggers are heard by somebody.
        if self._light:
            return {"gunicorn.error"}
        from monoceros.logs import keeper

        keeper.keep_lent(loggers(), [self.error_log, self.access_log])
        return {log.name for log in (self.error_log, self.access_log) if keeper.heard(log)}

    def tell_unheard(self, before: set[str]) -> None:
        """Call it when the application was loaded. One line for all that has ended by that."""
        if self._light:
            return
        off = {log.name for log in (self.error_log, self.access_log) if log.disabled}  # said then
        gone = sorted(before - self.heard() - off)
        if gone:
            from monoceros.logs.sink import announce

            words = (
                "While the application was loaded, it has disabled, raised the level of, or taken"
            )
            names = " and ".join(gone)
            text = f"{words} the handlers of {names}: nothing more is written through that."
            announce(30, text)

    def close_on_exec(self) -> None:
        if self._light:
            return
        for handler in _file_handlers():
            if handler.stream:
                util.close_on_exec(handler.stream.fileno())


_SPEAKERS = {*Logger.LOG_LEVELS, "exception", "log", "_say", "_record"}
# How lines are written while nobody overrides it, or puts something else into Logger itself.
_PLAIN = {
    name: Logger.__dict__[name]
    for name in ("access", "atoms", "atoms_wrapper_class", "now", "access_log_enabled")
}


def _is_plain(cfg: Any) -> bool:
    """Whether standard error is all that the error log needs, and Python writes no access log."""
    configured = cfg.syslog or cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json
    return cfg.errorlog == "-" and cfg.accesslog is None and not configured


def _file_handlers() -> list[Any]:
    import logging

    handlers: list[Any] = []
    for log in loggers():
        for handler in log.handlers:
            if isinstance(handler, logging.FileHandler) and handler not in handlers:
                handlers.append(handler)
    return handlers


def _apply_logconfig(cfg: Any) -> bool:
    """One of logconfig_dict, logconfig_json and logconfig, the first that is set. False: none."""
    if cfg.logconfig_dict:
        _dict_config(cfg.logconfig_dict)
    elif cfg.logconfig_json:
        import json

        if os.path.exists(cfg.logconfig_json):
            try:
                with open(cfg.logconfig_json, encoding="utf-8") as opened:
                    _dict_config(json.load(opened))
            except (OSError, ValueError) as error:
                raise RuntimeError(f"logconfig_json {cfg.logconfig_json}: {error}") from error
    elif cfg.logconfig:
        from logging.config import fileConfig

        if not os.path.exists(cfg.logconfig):
            raise RuntimeError(f"The log configuration file {cfg.logconfig!r} does not exist.")
        here = os.path.dirname(cfg.logconfig)
        names = {"__file__": cfg.logconfig, "here": here}
        try:
            fileConfig(cfg.logconfig, defaults=names, disable_existing_loggers=False)
        except Exception as error:
            raise RuntimeError(f"logconfig {cfg.logconfig}: {error}") from error
    else:
        return False
    return True


def _dict_config(given: dict[str, Any]) -> None:
    from logging.config import dictConfig

    try:
        dictConfig({**CONFIG_DEFAULTS, **given})
    except (AttributeError, ImportError, ValueError, TypeError) as error:
        raise RuntimeError(f"The log configuration is wrong: {error}") from error
