"""master/certificates.py: files become what workers serve; what is bad changes nothing."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from monoceros.config import Config
from monoceros.errors import ConfigError
from monoceros.master import certificates
from monoceros.master.certificates import Certificates, Watch
from monoceros.master.loop import Loop
from monoceros.master.tls_rules import TlsRules

if TYPE_CHECKING:
    from pathlib import Path


def make_pair(directory: Path, days: int = 30) -> None:
    """cert.pem and key.pem, fresh."""
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days {days} "
        f"-subj /CN=a.example -keyout {directory}/key.pem -out {directory}/cert.pem"
    )
    subprocess.run(command.split(), check=True, capture_output=True)


def made(directory: Path, **settings: Any) -> Certificates:
    cfg = Config()
    cfg.set("certfile", f"{directory}/cert.pem")
    cfg.set("keyfile", f"{directory}/key.pem")
    for name, value in settings.items():
        cfg.set(name, value)
    return Certificates(TlsRules(cfg), logging.getLogger("certificates"))


def test_a_pair_is_served_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    make_pair(tmp_path)
    certs = made(tmp_path)
    certs.open()
    assert re.search(rf"{tmp_path}/cert.pem expires in (29|30) days", caplog.text)
    assert not certs.look()
    make_pair(tmp_path, days=3)
    assert certs.look()
    assert caplog.records[-1].levelname == "WARNING"
    assert re.search(r"expires in (2|3) days", caplog.records[-1].getMessage())


def test_what_is_bad_is_said_once_and_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_pair(tmp_path)
    certs = made(tmp_path)
    certs.open()
    old = (tmp_path / "key.pem").read_bytes()
    make_pair(tmp_path)
    new = (tmp_path / "key.pem").read_bytes()
    (tmp_path / "key.pem").write_bytes(old)
    assert not certs.look()
    assert not certs.look()
    assert caplog.text.count("the key does not belong to the certificate; what was served") == 1
    (tmp_path / "key.pem").unlink()
    assert not certs.look()
    assert "No such file" in caplog.text
    (tmp_path / "key.pem").write_bytes(new)
    assert certs.look()


def test_a_start_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TLS cannot be served: .*No such file"):
        made(tmp_path).open()
    make_pair(tmp_path)
    with pytest.raises(ConfigError, match="a keyfile and no certfile"):
        made(tmp_path, certfile=None).open()
    with pytest.raises(ConfigError, match="OpenSSL knows none"):
        made(tmp_path, ciphers="NONSENSE").open()


def test_tickets_stay_good_through_a_reload(tmp_path: Path) -> None:
    make_pair(tmp_path)
    former = made(tmp_path)
    former.open()
    made(tmp_path).open(former)


def test_directories_of_links(tmp_path: Path) -> None:
    live, archive, data = (tmp_path / name for name in ("live", "archive", "secret"))
    for directory in (live, archive, data / "..1"):
        directory.mkdir(parents=True)
    (archive / "cert1.pem").touch()
    (live / "cert.pem").symlink_to("../archive/cert1.pem")
    assert certificates.directories([f"{live}/cert.pem"]) == {str(live), str(archive)}
    (data / "..1" / "tls.crt").touch()
    os.symlink("..1", data / "..data")
    (data / "tls.crt").symlink_to("..data/tls.crt")
    assert certificates.directories([f"{data}/tls.crt"]) == {str(data), str(data / "..1")}
    shutil.rmtree(data / "..1")
    assert str(data) in certificates.directories([f"{data}/tls.crt"])
    (tmp_path / "round").symlink_to("round")
    assert certificates.directories([f"{tmp_path}/round"]) == {str(tmp_path)}


def test_a_turned_link_is_noticed(tmp_path: Path) -> None:
    """As certbot does: other files in the archive, then the links are turned around."""
    for number in ("1", "2", "3"):
        (tmp_path / number).mkdir()
        make_pair(tmp_path / number)
    os.symlink("1", tmp_path / "live")
    certs = made(tmp_path / "live")
    certs.open()
    loop = Loop()
    watch = Watch(loop, logging.getLogger("certificates"))
    watch.follow(certs)
    assert watch.wait_ms() > 1000  # nothing but new keys for tickets is to come
    for number in ("2", "3"):
        os.symlink(number, tmp_path / "next")
        os.rename(tmp_path / "next", tmp_path / "live")
        while not watch.look_if_due():
            loop.wait(watch.wait_ms())
    shutil.copy(tmp_path / "1" / "cert.pem", tmp_path / "3" / "cert.pem")  # in place, in two steps
    shutil.copy(tmp_path / "1" / "key.pem", tmp_path / "3" / "key.pem")
    while not watch.look_if_due():
        loop.wait(watch.wait_ms())
    watch.close()
    assert not loop.wait(0)
