"""What a worker waits for that takes no more requests: said, so that nobody has to guess."""

from __future__ import annotations

import sys
import time

# As they are in the master: gevent's would not run beside a thread that is being joined.
from _thread import start_new_thread

from monoceros.workers import in_flight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros.contracts import Worker

PATIENCE_SECONDS = 1.0  # what ends sooner is not told
NAMES_MAX = 10
_sleep = time.sleep


def tell_requests(worker: Worker, connections: int) -> None:
    """In a drain that takes long: who is waited for."""
    plural = "" if connections == 1 else "s"
    text = (
        f"Worker (pid:{worker.pid}) takes no more requests; it waits for {connections} "
        f"connection{plural}."
    )
    if worker.place is not None:
        text += in_flight.describe(worker.place.in_flight(), "It holds")
    worker.log.info("%s", text)


def end_service(worker: Worker) -> None:
    """The worker is done. The interpreter ends only after the application's threads have."""
    if worker.place is None:
        return
    worker.place.end_service()
    if not _names():
        return
    worker.place.wake_master()
    start_new_thread(_tell_threads, (worker.log, worker.pid))


def _tell_threads(log: Any, pid: int | str) -> None:
    """Dies with the process. Threads of pools end by themselves when the interpreter asks them."""
    _sleep(PATIENCE_SECONDS)
    names = _names()
    if names:
        log.info(
            "Worker (pid:%s) is done, but its process waits for threads of the application: %s. "
            "(daemon=True would not keep it.)", pid, ", ".join(names)
        )  # fmt: skip


def _names() -> list[str]:
    threading = sys.modules.get("threading")
    if threading is None:
        return []
    main = threading.main_thread()
    found = [
        one.name for one in threading.enumerate()
        if one is not main and not one.daemon and not hasattr(one, "serves_requests")
    ]  # fmt: skip
    return found[:NAMES_MAX] + (["..."] if len(found) > NAMES_MAX else [])
