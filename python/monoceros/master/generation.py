"""Generation: all of the server that a configuration decides about, as one value.

The arbiter has one at a time, and its attributes (cfg, worker_class, LISTENERS ...) are views of
it. A reload makes a new one; a commit keeps it, and a roll-back assigns the former one.
Invariant: a generation never changes. having() makes another.
"""

from __future__ import annotations

import os

from monoceros.workers import choose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros.contracts import Application
    from monoceros.sock import BaseSocket, RelayPair


class Generation:
    __slots__ = (
        "address", "app", "app_state", "certificates", "cfg", "directory", "environ", "listeners",
        "proc_name", "relay", "timeout", "worker_class",
    )  # fmt: skip

    app: Application
    app_state: dict[str, Any]  # cfg, and what the application keeps of it
    cfg: Any  # a config.Config
    certificates: Any  # a certificates.Certificates; None: connections are plain
    environ: dict[str, str]
    directory: str
    listeners: list[BaseSocket]
    relay: RelayPair  # belongs to the listeners: requests know theirs by number
    worker_class: Any
    address: Any
    timeout: Any
    proc_name: str

    def __init__(self, **values: Any) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, values.get(name))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a generation does not change: having() makes another")

    def having(self, **changes: Any) -> Generation:
        return Generation(**{**{name: getattr(self, name) for name in self.__slots__}, **changes})

    def configured(self) -> Generation:
        """With what its configuration says."""
        cfg = self.cfg
        return self.having(
            worker_class=choose.runnable(cfg.worker_class),
            address=cfg.address,
            timeout=cfg.timeout,
            proc_name=cfg.proc_name,
        )

    def captured(self) -> Generation:
        """With what the process and the application are at this moment, to come back to."""
        return self.having(
            cfg=self.app.cfg,
            app_state=dict(vars(self.app)),
            environ=os.environ.copy(),
            directory=_directory(),
        )

    def enter(self) -> None:
        """Makes the process and the application what they were when it was captured."""
        if self.directory:
            os.chdir(self.directory)
        os.environ.clear()
        os.environ.update(self.environ)
        vars(self.app).clear()
        vars(self.app).update(self.app_state)


def _directory() -> str:
    """Of this process; empty where it was removed meanwhile, as old releases are."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


class View:
    """An attribute of the arbiter that is a field of its generation."""

    def __init__(self, field: str = "") -> None:
        self.field = field

    def __set_name__(self, owner: type, name: str) -> None:
        self.field = self.field or name

    def __get__(self, arbiter: Any, owner: type | None = None) -> Any:
        return self if arbiter is None else getattr(arbiter.generation, self.field)

    def __set__(self, arbiter: Any, value: object) -> None:
        arbiter.generation = arbiter.generation.having(**{self.field: value})
