"""Profiles: --behind changes defaults, and nothing that anybody has set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monoceros import _core, config
from monoceros.app.base import BaseApplication
from monoceros.config import Config

ROOT = Path(__file__).resolve().parents[2]
NAMES = list(dict.fromkeys(row[0] for row in _core.profile_table()))


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "SENDFILE", *config.CMD_ARGS):
        monkeypatch.delenv(name, raising=False)


def behind(name: str, **settings: object) -> Config:
    """What an embedding application that sets these gets."""

    class Embedded(BaseApplication):
        def load_config(self) -> None:
            self.cfg.set("behind", name)
            for key, value in settings.items():
                self.cfg.set(key, value)

    return Embedded(prog="monoceros").cfg


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_what_its_rows_say(name: str) -> None:
    cfg = behind(name)
    rows = {row[1]: row[2] for row in _core.profile_table() if row[0] == name}
    assert rows["keepalive"] >= 75
    for setting, value in rows.items():
        assert cfg.values[setting] == value
        assert cfg.sources[setting] == f"behind={name}"
    untouched = Config(prog="monoceros").values
    others = set(untouched) - set(rows) - {"behind"}
    assert all(cfg.values[setting] == untouched[setting] for setting in others)
    cfg.freeze()  # and the core takes it


def test_none_is_the_default_and_changes_nothing() -> None:
    cfg = behind("none")
    assert cfg.values == {**Config(prog="monoceros").values, "behind": "none"}
    assert Config(prog="monoceros").behind == "none"


def test_what_was_set_wins() -> None:
    cfg = behind("cloudrun", keepalive=7, forwarded_allow_ips="10.0.0.1", bind="127.0.0.1:1")
    assert (cfg.keepalive, cfg.forwarded_allow_ips) == (7, ["10.0.0.1"])
    assert cfg.bind == ["127.0.0.1:1"]
    assert cfg.graceful_timeout == 8


def test_what_equals_the_default_was_set_too() -> None:
    assert behind("gclb", keepalive=75).keepalive == 75


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "5000")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    cfg = behind("cloudrun")
    assert cfg.bind == ["0.0.0.0:5000"]
    assert cfg.forwarded_allow_ips == ["10.0.0.1"]
    assert behind("heroku").bind == ["0.0.0.0:5000"]


def test_profiles_do_not_share_their_values() -> None:
    behind("alb").values["forwarded_allow_ips"].append("192.0.2.1")
    assert "192.0.2.1" not in behind("alb").forwarded_allow_ips


def test_an_unknown_one_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        behind("akamai")
    assert "cloudfront" in capsys.readouterr().err


def explain(*arguments: str, cwd: Path) -> str:
    command = [sys.executable, "-m", "monoceros", *arguments, "--explain", "app:app"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_explain_tells_where_a_value_came_from(tmp_path: Path) -> None:
    (tmp_path / "monoceros.conf.py").write_text("graceful_timeout = 3\n")
    told = explain("--behind", "alb", "--keep-alive", "90", cwd=tmp_path)
    assert "keepalive = 90\n    from: command line\n" in told
    assert "graceful_timeout = 3\n    from: file " in told
    assert "drain_delay = 5\n    from: behind=alb\n    why:  a target gets requests" in told
    assert "behind = 'alb'\n    from: command line\n" in told


def test_a_file_may_name_the_profile(tmp_path: Path) -> None:
    (tmp_path / "monoceros.conf.py").write_text("behind = 'heroku'\nkeepalive = 91\n")
    told = explain(cwd=tmp_path)
    assert "keepalive = 91\n" in told
    assert "graceful_timeout = 25\n    from: behind=heroku\n" in told


@pytest.mark.parametrize("page", ["behind", "settings"])
def test_the_documentation_is_what_the_table_says(page: str) -> None:
    tool = ROOT / "tools" / f"gen_{page}_docs.py"
    done = subprocess.run([sys.executable, str(tool), "--check"], timeout=60, check=False)
    assert done.returncode == 0, "run make docs"
