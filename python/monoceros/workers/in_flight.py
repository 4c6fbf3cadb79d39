"""The requests that a worker holds, in words."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TOLD_MAX = 20  # requests of one worker
PHASES = ("", "waiting for the application", "in the application", "being answered")


def describe(flights: list[tuple[Any, ...]], words: str = "It held") -> str:
    """The requests that it held, a line each."""
    if not flights:
        return ""
    now_us = time.monotonic_ns() // 1000
    lines = [f"\n{words} {len(flights)} request{'s' if len(flights) > 1 else ''}:"]
    for phase, request_id, method, target, client, began_us, dispatched_us, *_ in flights[
        :TOLD_MAX
    ]:
        ran_us = now_us - (dispatched_us or began_us)
        lines.append(
            f"  {method} {target} from {client or 'unix'}, {PHASES[phase]} for {ran_us / 1e6:.1f} s"
            f" (request id {request_id})"
        )
    if len(flights) > TOLD_MAX:
        lines.append(f"  and {len(flights) - TOLD_MAX} more")
    return "\n".join(lines)
