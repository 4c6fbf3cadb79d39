"""Small things that the shell, workers and users' own workers share, under gunicorn's names."""

from __future__ import annotations

import os
import sys
import time

from monoceros import _core
from monoceros.errors import AppImportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any, NoReturn
    from urllib.parse import SplitResult

# Fields that an application must not set: they belong to one hop (RFC 9110 section 7.6.1) or to
# the server itself.
hop_headers = {
    "connection", "date", "keep-alive", "proxy-authenticate", "proxy-authorization", "server",
    "te", "trailers", "transfer-encoding", "upgrade",
}  # fmt: skip

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def is_hoppish(header: str) -> bool:
    return header.lower().strip() in hop_headers


def http_date(timestamp: float | None = None) -> str:
    """The IMF-fixdate (RFC 9110 section 5.6.7) of a time in seconds; None is now."""
    t = time.gmtime(timestamp)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    )


def parse_address(netloc: str | bytes, default_port: int | str = 8000) -> Any:
    """(host, port), a path, or a file descriptor. RuntimeError says what is wrong with it."""
    text = netloc.decode() if isinstance(netloc, bytes) else netloc
    try:
        return _core.parse_address(text, int(default_port))
    except ValueError as error:
        raise RuntimeError(str(error)) from None


def is_ipv6(addr: str) -> bool:
    import socket

    try:
        socket.inet_pton(socket.AF_INET6, addr)
    except (OSError, ValueError):
        return False
    return True


def getcwd() -> str:
    """The current directory, by the name in PWD if that is the same directory."""
    here = os.getcwd()
    named = os.environ.get("PWD")
    try:
        if named and os.path.samestat(os.stat(named), os.stat(here)):
            return named
    except OSError:
        pass
    return here


def get_arity(function: Callable[..., Any]) -> int:
    """How many positional parameters a callable has; *args, keywords and self do not count."""
    code = getattr(function, "__code__", None)
    if code is not None and not hasattr(function, "__wrapped__"):
        bound = getattr(function, "__self__", None) is not None
        return int(code.co_argcount) - bound
    import inspect

    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional for p in inspect.signature(function).parameters.values())


# ---- Classes and applications by name


def load_class(
    uri: Any,
    default: str = "monoceros.workers.sync.SyncWorker",
    section: str = "monoceros.workers",
) -> Any:
    """The class that `uri` names: a class, an alias, a dotted path, egg:DIST#NAME, or the name
    of an entry point. gunicorn's own paths mean ours. RuntimeError says why it cannot be had."""
    if isinstance(uri, type):
        return uri
    if uri.startswith("egg:"):
        dist, _, name = uri[4:].partition("#")
        return _entry_point(uri, section, name or "sync", dist)
    uri = _alias(uri, section) or uri
    if "." not in uri:
        return _entry_point(uri, section, uri, None)
    if uri.startswith("gunicorn."):
        uri = "monoceros." + uri[len("gunicorn.") :]
    if not uri.startswith("monoceros."):
        from monoceros import compat

        compat.install_for_command()  # a class of others: written for gunicorn, most likely
    module_name, _, name = uri.rpartition(".")
    import importlib

    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise RuntimeError(_explain_class(uri, error)) from error


def _explain_class(uri: str, error: Exception) -> str:
    kind = "worker class" if "worker" in uri.lower() else "class"
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name and uri.startswith(error.name):
        detail = f"there is no module called {error.name}"
        if uri.startswith("monoceros.workers."):
            detail = "there is no such kind of worker"
    return f"The {kind} {uri} cannot be loaded: {detail}."


def _alias(uri: str, section: str) -> str | None:
    if section == "monoceros.loggers":
        return "monoceros.glogging.Logger" if uri == "simple" else None
    from monoceros.workers import FOREIGN_WORKERS, SUPPORTED_WORKERS

    if uri == "eventlet":
        raise RuntimeError(
            "The eventlet worker is gone, as in gunicorn: use -k gevent, or --threads."
        )
    return SUPPORTED_WORKERS.get(uri) or FOREIGN_WORKERS.get(uri)


def _entry_point(uri: str, section: str, name: str, dist: str | None) -> Any:
    """Looks in our group and in gunicorn's, which plug-ins were written for."""
    from importlib import metadata

    groups = (section, section.replace("monoceros.", "gunicorn.", 1))
    points: list[Any] = []
    try:
        if dist:
            points = list(metadata.distribution(dist).entry_points)
        else:
            points = [p for group in groups for p in metadata.entry_points(group=group)]
    except metadata.PackageNotFoundError:
        raise RuntimeError(f"{uri}: no package called {dist} is installed.") from None
    for point in points:
        if point.name == name and point.group in groups:
            from monoceros import compat

            compat.install_for_command()
            return point.load()
    from monoceros.workers import SUPPORTED_WORKERS

    known = ", ".join(SUPPORTED_WORKERS) if section == "monoceros.workers" else "simple"
    raise RuntimeError(
        f"There is no class called {uri!r}. Give one of {known}, or a path such as "
        "package.module.Class."
    )


def import_app(module: str) -> Any:
    """The application that MODULE, MODULE:NAME or MODULE:FACTORY(...) stands for.

    AppImportError: the module is there, the application is not. Anything else is what the
    module itself raised on import.
    """
    name, colon, expression = module.partition(":")
    if not colon:
        expression = "application"
    found = _import_module(name, expression)
    if expression.isidentifier():
        app = _attribute(found, name, expression)
        if _is_factory(app):
            raise AppImportError(
                f"{name}:{expression} needs no argument, as a factory does, and no application: "
                f"did you mean '{name}:{expression}()'?"
            )
    else:
        app = _call_factory(found, name, expression)
    if app is None:
        raise AppImportError(f"{module}: the application is None.")
    if not callable(app):
        raise AppImportError(f"{module} is {type(app).__name__!r}, which cannot be called.")
    return app


def _import_module(name: str, expression: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except (ImportError, TypeError) as error:  # TypeError: it begins with a dot
        if name.endswith(".py") and os.path.exists(name):
            stem = name[: -len(".py")].replace("/", ".").lstrip(".")
            raise ImportError(
                f"{name} is a file, but the name of a module is needed: did you mean "
                f"'{stem}:{_defined_in(name, expression)}'?"
            ) from None
        if not isinstance(error, ModuleNotFoundError) or not error.name:
            raise
        if name == error.name or name.startswith(f"{error.name}."):
            raise ModuleNotFoundError(
                f"No module named {error.name!r}: looked in {os.getcwd()} and on Python's path. "
                "Is it spelled as the file is, and is --chdir or --pythonpath needed?",
                name=error.name,
            ) from None
        raise


USUAL = ("app", "application", "create_app", "make_app", "wsgi", "api", "asgi", "main")
FACTORIES = ("create_app", "make_app")
CO_VARARGS, CO_COROUTINE = 0x04, 0x80  # as in inspect, which is not imported for this


def _attribute(found: Any, module: str, name: str) -> Any:
    try:
        return getattr(found, name)
    except AttributeError:
        pass
    usual = [other for other in USUAL if callable(getattr(found, other, None))]
    there = usual or [key for key, value in vars(found).items() if _may_be_app(key, value)]
    hint = ""
    if there:
        call = "()" if there[0] in FACTORIES else ""
        hint = f" Did you mean '{module}:{there[0]}{call}'?"
    elif hasattr(found, "__path__"):
        inner = [sub for sub in ("wsgi", "asgi", "app") if _is_module(f"{module}.{sub}")]
        hint = f" Did you mean '{module}.{inner[0]}'?" if inner else ""
    raise AppImportError(f"The module {module!r} has no attribute {name!r}.{hint}")


def _may_be_app(name: str, value: object) -> bool:
    """An object that can be called, and is not there to be called by a module's own code."""
    plain = isinstance(value, type | type(sys) | type(os.getcwd) | type(_attribute))
    return callable(value) and not plain and not name.startswith("_")


def _is_module(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def _is_factory(app: Any) -> bool:
    """Whether it is a function that can be called with nothing: an application cannot."""
    code = getattr(app, "__code__", None)
    if code is None or hasattr(app, "__func__") or hasattr(app, "__wrapped__"):
        return False
    if code.co_flags & (CO_VARARGS | CO_COROUTINE):
        return False
    needed: int = code.co_argcount - len(app.__defaults__ or ())
    return needed <= 0 and len(app.__kwdefaults__ or ()) == int(code.co_kwonlyargcount)


def _defined_in(path: str, name: str) -> str:
    """A name that the file defines, to be suggested: `name` itself, or what is usual."""
    import ast

    try:
        with open(path, "rb") as file:
            body = ast.parse(file.read()).body
    except (OSError, SyntaxError, ValueError):
        return name
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else []
        found.update(target.id for target in targets if isinstance(target, ast.Name))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        if isinstance(node, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
    there = next((other for other in (name, *USUAL) if other in found), name)
    return there + ("()" if there in FACTORIES and there != name else "")


def _call_factory(found: Any, module: str, expression: str) -> Any:
    """Calls NAME(literals...), the only expression there is besides a bare name."""
    import ast

    wrong = AppImportError(
        f"{expression!r} is neither a name nor a call of one, such as create_app() or "
        "create_app('production')."
    )
    try:
        call = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise wrong from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise wrong
    try:
        args = [ast.literal_eval(arg) for arg in call.args]
        keywords = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords if k.arg}
    except ValueError:
        raise AppImportError(
            f"{expression!r}: its arguments must be literals: strings, numbers, lists and such."
        ) from None
    if len(keywords) != len(call.keywords):
        raise wrong
    factory = _attribute(found, module, call.func.id)
    try:
        return factory(*args, **keywords)
    except TypeError as error:
        # One frame means that the call itself failed; more, that the factory's own code did.
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise AppImportError(f"{expression} cannot be called so: {error}") from None
        raise


def make_fail_app(message: str | bytes) -> Callable[..., Any]:
    """A WSGI application that answers every request with 500 and `message`."""
    body = message.encode("utf-8") if isinstance(message, str) else message

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        start_response("500 Internal Server Error", headers)
        return [body]

    return app


# ---- Processes and descriptors


def set_owner_process(uid: int, gid: int, initgroups: bool = False) -> None:
    """Makes this process that of user `uid` and group `gid`; 0 leaves either alone.

    The groups that root was in are dropped: initgroups puts in those of the user instead.
    """
    changes_user = bool(uid) and uid != os.geteuid()
    if os.geteuid() == 0 and (changes_user or (gid and gid != os.getegid())):
        from monoceros.host.users import user_name

        name = user_name(uid) if initgroups and gid else None
        if name is not None:
            os.initgroups(name, gid)
        else:
            os.setgroups([])
    if gid and gid != os.getegid():
        os.setgid(gid)
    if changes_user:
        os.setuid(uid)


def daemonize(enable_stdio_inheritance: bool = False) -> None:
    """Leaves the terminal, as daemon.detach says; for users' own commands, which do not wait."""
    from monoceros.host import daemon

    daemon.detach(enable_stdio_inheritance)
    daemon.say_started()


def seed() -> None:
    """Gives this process random numbers of its own, if it uses the module at all."""
    random = sys.modules.get("random")
    if random is not None:
        random.seed(os.urandom(64))


def close_on_exec(fd: Any) -> None:
    os.set_inheritable(fd if isinstance(fd, int) else fd.fileno(), False)


def set_non_blocking(fd: int) -> None:
    os.set_blocking(fd, False)


def check_is_writable(path: str) -> None:
    """RuntimeError if the file cannot be appended to; it is created if it is absent."""
    try:
        from monoceros.logs.files import opener

        with open(path, "a", encoding="utf-8", opener=opener):
            pass
    except OSError as error:
        raise RuntimeError(f"The log file {path!r} cannot be written: {error}") from error


def _setproctitle(title: str) -> None:
    """Shows `monoceros: title` in ps, where the setproctitle package is installed."""
    module = sys.modules.get("setproctitle") or _title_extension()
    if module is not None:
        module.setproctitle(f"monoceros: {title}")


def _title_extension() -> Any:
    """The extension inside the setproctitle package, without the package: that imports logging,
    which most servers never need (docs/adr/0006). None if there is no such thing."""
    from importlib.machinery import PathFinder

    package = PathFinder.find_spec("setproctitle")
    if package is None or package.submodule_search_locations is None:
        return None
    places = package.submodule_search_locations
    spec = PathFinder.find_spec("setproctitle._setproctitle", places)
    if spec is None or spec.loader is None:
        return None
    try:
        module = spec.loader.create_module(spec)
        if module is not None:
            spec.loader.exec_module(module)
    except ImportError:
        return None
    return module


def unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def warn(message: str) -> None:
    sys.stderr.write(f"!!!\n!!! WARNING: {message}\n!!!\n")
    sys.stderr.flush()


def reraise(kind: Any, value: BaseException | None, traceback: Any = None) -> NoReturn:
    raise (kind() if value is None else value).with_traceback(traceback)


# ---- Text and sockets, for workers that others wrote


def bytes_to_str(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def to_bytestring(value: str | bytes, encoding: str = "utf8") -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value.encode(encoding)


def unquote_to_wsgi_str(text: str) -> str:
    """A path as WSGI wants it: percent-decoded bytes, each a character (PEP 3333)."""
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(text).decode("latin-1")


def split_request_uri(uri: str) -> SplitResult:
    """Splits a request target; a leading "//" is a path here, never an authority."""
    from urllib.parse import urlsplit

    if uri.startswith("//"):
        parts = urlsplit("." + uri)
        return parts._replace(path=parts.path[1:])
    return urlsplit(uri)


def write_chunk(sock: socket.socket, data: str | bytes) -> None:
    body = to_bytestring(data)
    sock.sendall(b"%X\r\n%s\r\n" % (len(body), body))


def write(sock: socket.socket, data: bytes, chunked: bool = False) -> None:
    if chunked:
        write_chunk(sock, data)
    else:
        sock.sendall(data)


def write_nonblock(sock: socket.socket, data: bytes, chunked: bool = False) -> None:
    """Writes all of it even if the socket is non-blocking, which it is afterwards as before."""
    timeout = sock.gettimeout()
    if timeout != 0.0:
        write(sock, data, chunked)
        return
    try:
        sock.setblocking(True)
        write(sock, data, chunked)
    finally:
        sock.setblocking(False)


def write_error(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Answers with a small HTML page and asks for the connection's end."""
    from html import escape

    page = (
        f"<html>\n  <head>\n    <title>{escape(reason)}</title>\n  </head>\n  <body>\n"
        f"    <h1><p>{escape(reason)}</p></h1>\n    {escape(mesg)}\n  </body>\n</html>\n"
    ).encode("latin-1", "replace")
    head = (
        f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: text/html\r\n"
        f"Content-Length: {len(page)}\r\n\r\n"
    )
    write_nonblock(sock, head.encode("latin-1", "replace") + page)
