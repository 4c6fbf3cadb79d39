"""The ASGI lifespan protocol: startup before the first request, shutdown after the last."""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STEP_SECONDS_MAX = 30.0


class LifespanFailure(Exception):
    """The application said, or showed, that it cannot serve."""


class Lifespan:
    """mode: auto (an application without lifespan is served without), on, off."""

    def __init__(self, app: Any, mode: str, log: Any) -> None:
        self.app = app
        self.mode = mode
        self.log = log
        self.state: dict[str, Any] = {}
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Raises LifespanFailure if the worker must not serve."""
        if self.mode == "off":
            return
        self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            answer = await self._step("lifespan.startup")
        except Exception as error:
            if self.mode == "on":
                raise LifespanFailure(f"lifespan.startup: {error!r}") from error
            self.log.debug("The application has no lifespan: %r", error)
            self._task.cancel()
            self._task = None
            return
        if answer["type"] == "lifespan.startup.failed":
            raise LifespanFailure(answer.get("message", "") or "lifespan.startup.failed")

    async def shutdown(self) -> None:
        """Never raises: the worker leaves in any case."""
        if self._task is None or self._task.done():
            return
        try:
            answer = await self._step("lifespan.shutdown")
        except asyncio.TimeoutError:
            self.log.warning("lifespan.shutdown took longer than %d s.", STEP_SECONDS_MAX)
            self._task.cancel()
        except Exception as error:
            self.log.error("lifespan.shutdown: %r", error)
        else:
            if answer["type"] == "lifespan.shutdown.failed":
                self.log.error("lifespan.shutdown.failed: %s", answer.get("message", ""))

    async def abandon(self) -> None:
        """There is no time for a shutdown: the task is cancelled."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1.0)

    async def _step(self, kind: str) -> dict[str, Any]:
        """One event to the application, and what it answers; or how its task ended."""
        assert self._task is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._events.put_nowait({"type": kind})
        waiting: set[asyncio.Future[Any]] = {self._answer, self._task}
        done, _ = await asyncio.wait(
            waiting,
            timeout=STEP_SECONDS_MAX,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._answer in done:
            answer: dict[str, Any] = self._answer.result()
            return answer
        if self._task in done:
            error = None if self._task.cancelled() else self._task.exception()
            raise error or RuntimeError("the application returned instead of answering")
        raise asyncio.TimeoutError

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "state": self.state,
        }
        await self.app(scope, self._events.get, self._send)

    async def _send(self, message: dict[str, Any]) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)
