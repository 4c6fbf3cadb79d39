"""Config: values, validators, hooks, derived values, and settings of a user's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monoceros import _core, config
from monoceros.config import Config, Setting
from monoceros.errors import ConfigError
from monoceros.settings import validators


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "SENDFILE", *config.CMD_ARGS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cfg() -> Config:
    return Config("usage", prog="monoceros")


def settle(cfg: Config, name: str, value: Any) -> Any:
    cfg.set(name, value)
    return cfg.values[name]


def test_every_row_of_the_table_is_a_setting_with_its_default(cfg: Config) -> None:
    rows = _core.settings_table()
    assert len(rows) >= 127
    for row in rows:
        setting = cfg.settings[row[0]]
        assert setting.get() == cfg.values[row[0]]
        assert setting.section == row[2]
        assert setting.order == rows.index(row)


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("workers", "0x10", 16),
        ("workers", " 7 ", 7),
        ("workers", True, 1),
        ("workers", b"3", 3),
        ("umask", "0o22", 18),
        ("reload", "TRUE", True),
        ("reload", None, None),
        ("pidfile", " x ", "x"),
        ("bind", "a,b", ["a,b"]),
        ("bind", ("a ", "b"), ["a", "b"]),
        ("bind", None, []),
        ("forwarder_headers", "A, B ,,", ["A", "B"]),
        ("forwarded_allow_ips", "10.0.0.0/8,::1", ["10.0.0.0/8", "::1"]),
        ("forwarded_allow_ips", None, []),
        ("proxy_protocol", True, "auto"),
        ("proxy_protocol", "none", "off"),
        ("http2_cleartext", True, "prior-knowledge"),
        ("http_protocols", "H2, h1", ["h2", "h1"]),
        ("http_protocols", "", ["h1"]),
        ("asgi_loop", None, "auto"),
        ("header_map", "Refuse", "refuse"),
        ("statsd_host", "localhost", ("localhost", 8125)),
        ("statsd_host", "[::1]:9", ("::1", 9)),
        ("statsd_host", "unix:///x", "/x"),
        ("statsd_host", "unix:5", ("unix", 5)),
        ("user", "root", 0),
        ("group", "0", 0),
        ("worker_class", int, int),
        ("worker_class", lambda: int, int),
        ("chdir", "/", "/"),
        ("logconfig_dict", {"a": 1}, {"a": 1}),
    ],
)
def test_accepted_values(cfg: Config, name: str, given: Any, kept: Any) -> None:
    assert settle(cfg, name, given) == kept


@pytest.mark.parametrize(
    ("name", "given", "error", "sentence"),
    [
        ("workers", "-1", ValueError, "workers must be 0 or more, not -1."),
        ("workers", "010", ValueError, "workers must be an integer, not '010'."),
        ("workers", 1.5, TypeError, "workers must be an integer, not 1.5."),
        ("workers", None, TypeError, "workers must be an integer, not None."),
        ("reload", "yes", ValueError, "reload must be true or false, not 'yes'."),
        ("reload", 1, TypeError, "reload must be True or False, not 1."),
        ("pidfile", 5, TypeError, "pidfile must be a string, not 5."),
        ("bind", [1], TypeError, "bind must be a list of strings, not 1."),
        ("forwarder_headers", ["A"], TypeError, "forwarder_headers must be one string"),
        ("forwarded_allow_ips", "10.0.0.1/8", ValueError, "names a host"),
        ("http_protocols", "h1,h1", ValueError, "names h1 twice"),
        ("http_protocols", "h3", ValueError, "must be a list of h1 or h2, not 'h3'."),
        ("http2_max_frame_size", 1, ValueError, "must be 16384 to 16777215, not 1."),
        ("http2_max_concurrent_streams", 0, ValueError, "must be 1 to 2147483647, not 0."),
        ("header_map", "x", ValueError, "must be drop, refuse or dangerous, not 'x'."),
        ("proxy_protocol", 1, TypeError, "must be one of off, v1, v2, auto, not 1."),
        ("statsd_host", "a:b", TypeError, "must be HOST:PORT or unix://PATH"),
        ("user", "nosuchuser", ConfigError, "no user called 'nosuchuser'"),
        ("group", "nosuchgroup", ConfigError, "no group called"),
        ("chdir", "/nonexistent", ConfigError, "does not exist"),
        ("logconfig_dict", "x", TypeError, "must be a dictionary"),
        ("worker_class", 5, TypeError, "must be a string, not 5."),
        ("reload_extra_files", "/nonexistent", ValueError, "does not exist"),
    ],
)
def test_refused_values(
    cfg: Config, name: str, given: Any, error: type[Exception], sentence: str
) -> None:
    before = cfg.values[name]
    with pytest.raises(error) as caught:
        cfg.set(name, given)
    assert sentence in str(caught.value)
    assert cfg.values[name] is before


def test_unknown_settings_name_the_nearest(cfg: Config) -> None:
    with pytest.raises(AttributeError, match=r"called worker; did you mean workers\?"):
        cfg.set("worker", 1)
    with pytest.raises(AttributeError, match="did you mean keepalive"):
        _ = cfg.keep_alive
    with pytest.raises(AttributeError, match=r"called zzzzzzzz\."):
        _ = cfg.zzzzzzzz


def test_settings_cannot_be_assigned(cfg: Config) -> None:
    with pytest.raises(AttributeError, match=r"cfg\.set"):
        cfg.workers = 3  # type: ignore[misc]
    with pytest.raises(AttributeError, match=r"cfg\.set"):
        cfg.timeout = 3


def test_setting_objects_and_config_share_values(cfg: Config) -> None:
    cfg.settings["timeout"].set("9")
    assert cfg.timeout == 9
    cfg.set("timeout", 8)
    assert cfg.settings["timeout"].value == 8
    assert Config().timeout == 30


# ---- hooks


def test_hooks_are_checked_by_their_number_of_parameters(cfg: Config) -> None:
    def two(_server: object, _worker: object) -> None: ...

    cfg.set("post_fork", two)
    assert cfg.post_fork is two
    assert not cfg.is_default("post_fork")
    for wrong in (lambda: 0, lambda a, b, c: 0, lambda *a: 0, print):
        with pytest.raises(TypeError, match="post_fork is called with 2 arguments"):
            cfg.set("post_fork", wrong)


class Hooks:
    def hook(self, server: object) -> str:
        return "method"

    def __call__(self, server: object) -> str:
        return "call"


@pytest.mark.parametrize("hook", [Hooks().hook, Hooks(), "os.path.abspath"])
def test_hooks_may_be_any_callable_or_its_path(cfg: Config, hook: Any) -> None:
    cfg.set("on_exit", hook)
    assert callable(cfg.on_exit)


@pytest.mark.parametrize("hook", [Hooks().hook, lambda a: 0, "os.path.abspath", "nodots", "no.x"])
def test_hooks_that_do_not_fit(cfg: Config, hook: Any) -> None:
    with pytest.raises(TypeError, match="nworkers_changed"):
        cfg.set("nworkers_changed", hook)


@pytest.mark.parametrize("arity", [2, 3, 4])
def test_older_post_request_hooks_get_the_arguments_that_they_take(cfg: Config, arity: int) -> None:
    seen: list[tuple[object, ...]] = []
    hooks = {
        2: lambda a, b: seen.append((a, b)),
        3: lambda a, b, c: seen.append((a, b, c)),
        4: lambda a, b, c, d: seen.append((a, b, c, d)),
    }
    cfg.set("post_request", hooks[arity])
    cfg.post_request(1, 2, 3, 4)
    assert seen == [(1, 2, 3, 4)[:arity]]


def test_default_hooks_do_nothing_and_are_known(cfg: Config) -> None:
    for name in _core.setting_names("hook"):
        assert cfg.is_default(name)
    assert cfg.on_exit(object()) is None
    assert cfg.ssl_context(cfg, lambda: "context") == "context"


# ---- derived values


def test_worker_class_follows_threads(cfg: Config) -> None:
    assert cfg.worker_class_str == "sync"
    cfg.set("threads", 2)
    assert cfg.worker_class_str == "gthread"
    cfg.set("worker_class", int)
    assert cfg.worker_class_str == "int"


def test_sendfile_follows_the_variable_until_it_is_set(
    cfg: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cfg.sendfile is True
    monkeypatch.setenv("SENDFILE", "no")
    assert cfg.sendfile is False
    monkeypatch.setenv("SENDFILE", "Yes")
    assert cfg.sendfile is True
    cfg.set("sendfile", False)
    assert cfg.sendfile is False


def test_raw_env_and_paste_globals(cfg: Config) -> None:
    cfg.set("raw_env", ["A=1=2"])
    assert cfg.env == {"A": "1=2"}
    cfg.set("raw_env", ["A"])
    with pytest.raises(RuntimeError, match="KEY=VALUE"):
        _ = cfg.env
    cfg.set("raw_paste_global_conf", ["a=b", "c\\=d=e"])
    assert cfg.paste_global_conf == {"a": "b", "c=d": "e"}


def test_addresses(cfg: Config) -> None:
    cfg.set("bind", ["HOST:1", "unix:/x", "fd://3", "[::1]"])
    assert cfg.address == [("host", 1), "/x", 3, ("::1", 8000)]
    cfg.set("bind", "::1")
    with pytest.raises(RuntimeError, match=r"written \[ADDRESS\]:PORT"):
        _ = cfg.address


def test_networks_leave_out_the_star(cfg: Config) -> None:
    cfg.set("forwarded_allow_ips", "*,10.0.0.0/8")
    assert [str(network) for network in cfg.forwarded_allow_networks()] == ["10.0.0.0/8"]


def test_ssl_options_are_the_section(cfg: Config) -> None:
    assert set(cfg.ssl_options) == {
        "keyfile", "certfile", "ssl_version", "cert_reqs", "ca_certs", "suppress_ragged_eofs",
        "do_handshake_on_connect", "ciphers",
    }  # fmt: skip
    assert not cfg.is_ssl
    cfg.set("certfile", "x")
    assert cfg.is_ssl


def test_freeze_gives_the_core_what_was_set(cfg: Config) -> None:
    cfg.set("keepalive", 3)
    cfg.set("forwarded_allow_ips", "10.0.0.0/255.0.0.0")
    cfg.set("sendfile", False)
    frozen = cfg.freeze()
    assert frozen.keepalive == 3
    assert frozen.forwarded_allow_ips == ["10.0.0.0/8"]
    assert frozen.sendfile is False
    assert frozen.secure_scheme_headers["X-FORWARDED-PROTO"] == "https"
    with pytest.raises(AttributeError):
        frozen.keepalive = 4  # type: ignore[attr-defined]


def test_settings_not_built_yet_are_named(cfg: Config) -> None:
    assert cfg.not_yet() == ([], [])
    cfg.set("dirty_workers", 2)
    cfg.set("worker_tmp_dir", "/dev/shm")
    warnings, refusals = cfg.not_yet()
    assert [text.split()[0] for text in warnings] == ["dirty_workers"]
    assert refusals == []


# ---- the environment


def test_variables_change_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "99")
    monkeypatch.setenv("WEB_CONCURRENCY", "5")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    cfg = Config()
    assert (cfg.bind, cfg.workers, cfg.forwarded_allow_ips) == (["0.0.0.0:99"], 5, ["*"])
    assert cfg.sources["workers"] == "environment variable WEB_CONCURRENCY"


@pytest.mark.parametrize("text", ["x", "", "-2", "1.5"])
def test_a_bad_web_concurrency_is_one_sentence(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", text)
    with pytest.raises(ConfigError, match="WEB_CONCURRENCY must be a number of workers or auto"):
        Config()


def test_our_cmd_args_go_before_gunicorns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--bind 'a b'")
    assert Config().get_cmd_args_from_env() == ["--bind", "a b"]
    monkeypatch.setenv("MONOCEROS_CMD_ARGS", "-w 2")
    assert Config().get_cmd_args_from_env() == ["-w", "2"]


def test_default_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.get_default_config_file() is None
    (tmp_path / "gunicorn.conf.py").touch()
    assert config.get_default_config_file() == str(tmp_path / "gunicorn.conf.py")
    (tmp_path / "monoceros.conf.py").touch()
    assert config.get_default_config_file() == str(tmp_path / "monoceros.conf.py")


# ---- gunicorn's module surface


@pytest.fixture
def own_setting() -> Iterator[type[Setting]]:
    before = list(config._registered)

    class Flavour(Setting):
        name = "flavour"
        section = "Taste"
        cli = ["--flavour"]
        validator = validators.validate_string
        default = "plain"
        desc = """Which flavour.

        More of it."""

    yield Flavour
    config._registered[:] = before


def test_a_setting_of_ones_own(own_setting: type[Setting]) -> None:
    cfg = Config("usage", prog="x")
    assert cfg.flavour == "plain"
    cfg.set("flavour", " hot ")
    assert cfg.flavour == "hot"
    assert cfg.parser().parse_args(["--flavour", "sour"]).flavour == "sour"
    assert own_setting in config.KNOWN_SETTINGS
    assert own_setting.short == "Which flavour."
    with pytest.raises(TypeError, match="The value must be a string"):
        cfg.set("flavour", 5)
    assert "flavour" in str(cfg)


def test_setting_classes_by_name() -> None:
    assert config.AccessLogFormat.default.startswith("%(h)s")
    assert config.Bind().get() == ["127.0.0.1:8000"]
    assert {made.__name__ for made in config.KNOWN_SETTINGS} >= {"Workers", "NewSSLContext"}
    assert set(config.make_settings(ignore=["bind"])) == set(Config().settings) - {"bind"}
    with pytest.raises(AttributeError):
        _ = config.NoSuchThing


def test_print_config_lists_every_name_once(cfg: Config) -> None:
    names = [line.split(" = ")[0].strip() for line in str(cfg).splitlines()]
    assert names == sorted(cfg.settings)


def test_default_user_is_ours(cfg: Config) -> None:
    assert (cfg.uid, cfg.gid) == (os.geteuid(), os.getegid())
