"""The short cut past argparse reads what it reads exactly as argparse does."""

from __future__ import annotations

import pytest

from monoceros.config import Config
from monoceros.settings import cli

PLAIN = [
    [],
    ["app"],
    ["app:app", "more"],
    ["-w", "3", "app"],
    ["-w3", "app"],
    ["--workers=3", "app"],
    ["--workers", "auto"],
    ["-b", "a", "-b", "b", "--bind=c"],
    ["--reload", "--no-sendfile", "app"],
    ["--access-logfile", "-", "app"],
    ["--log-file", "x", "--error-logfile", "y"],
    ["-w", "-1"],
    ["--name="],
    ["-m", "022", "--control-socket-mode", "0x10"],
    ["-D", "app"],
    ["--cert-reqs", "2"],
    ["app", "-t", "5"],
]
LEFT_TO_ARGPARSE = [
    ["--wor", "3"],
    ["-w"],
    ["-w", "x"],
    ["-w", "--reload"],
    ["a", "-w", "2", "b"],
    ["--reload=yes"],
    ["-Dw", "2"],
    ["--", "app"],
    ["--nosuch"],
    ["-h"],
    ["--version"],
    ["--proxy-protocol", "app"],
    ["-b", "-x"],
]


@pytest.fixture
def cfg() -> Config:
    return Config("usage", prog="monoceros")


@pytest.mark.parametrize("argv", PLAIN, ids=" ".join)
def test_plain_lines_are_read_as_argparse_reads_them(cfg: Config, argv: list[str]) -> None:
    quick = cli.quick(argv)
    assert quick is not None
    slow = {
        name: value for name, value in vars(cfg.parser().parse_args(argv)).items()
        if value is not None
    }  # fmt: skip
    assert vars(quick) == slow


@pytest.mark.parametrize("argv", LEFT_TO_ARGPARSE, ids=" ".join)
def test_the_rest_is_left_to_argparse(argv: list[str]) -> None:
    assert cli.quick(argv) is None


def test_absent_options_read_as_none() -> None:
    quick = cli.quick(["app"])
    assert quick is not None
    assert quick.config is None


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--nosuchflag"], "unrecognized arguments: --nosuchflag"),
        (["--keepalive", "3"], "did you mean --keep-alive?"),
        (["--log-levle", "3"], "did you mean --log-level?"),
        (["--ini", "x.ini"], "unrecognized arguments: --ini (did you mean --initgroups?)"),
        (["--worker-cl", "sync"], "did you mean --worker-class?"),
        (["-w", "x"], "invalid int value: 'x'"),
        (["-w", "1", "a", "-t", "2", "b"], "unrecognized arguments: b"),
    ],
)
def test_mistakes_exit_with_2(
    cfg: Config, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cfg.parser().parse_args(argv)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_proxy_protocol_alone_means_auto(cfg: Config) -> None:
    parse = cfg.parser().parse_args
    assert parse(["app", "--proxy-protocol"]).proxy_protocol == "auto"
    assert parse(["--proxy-protocol", "v1", "app"]).proxy_protocol == "v1"


def test_help_names_every_flag(cfg: Config) -> None:
    text = cfg.parser().format_help()
    for setting in cfg.settings.values():
        for flag in setting.cli or ():
            assert flag in text
