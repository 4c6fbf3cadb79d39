"""Statsd: a logger that also sends metrics to a StatsD server, one datagram each.

Metrics are never waited for: a server that is away or slow loses them, which is said once.
"""

from __future__ import annotations

import logging
import socket

from monoceros.glogging import Logger
from monoceros.logs.remote import Remote

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    from typing import Any

METRIC_VAR = "metric"
VALUE_VAR = "value"
MTYPE_VAR = "mtype"
GAUGE_TYPE = "gauge"
COUNTER_TYPE = "counter"
HISTOGRAM_TYPE = "histogram"
TIMER_TYPE = "timer"


class Statsd(Logger):
    """The default logger with gunicorn's metrics beside it."""

    remote: Remote | None = None
    prefix = ""
    dogstatsd_tags: str | None = None

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        prefix = cfg.statsd_prefix or ""
        stem = prefix.rstrip(".")
        self.prefix = stem + "." if len(stem) > 1 else prefix
        self.dogstatsd_tags = cfg.dogstatsd_tags or None
        address = cfg.statsd_host
        if self.remote is not None:
            if self.remote.address == address:
                return
            self.remote.close()
        self.remote = None
        if address is not None:
            kinds = (int(socket.SOCK_DGRAM),)
            self.remote = Remote("The statsd server", "metrics", address, kinds)

    @property
    def sock(self) -> Any:
        """None where there is no way to the server."""
        return None if self.remote is None else self.remote.raw

    # ---- log calls that are counted, or carry a metric in extra={"metric", "value", "mtype"}

    def critical(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        super().critical(msg, *args, **kwargs)
        self.increment("gunicorn.log.critical", 1)

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        super().error(msg, *args, **kwargs)
        self.increment("gunicorn.log.error", 1)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        super().warning(msg, *args, **kwargs)
        self.increment("gunicorn.log.warning", 1)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        super().exception(msg, *args, **kwargs)
        self.increment("gunicorn.log.exception", 1)

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.log(logging.INFO, msg, *args, **kwargs)

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.log(logging.DEBUG, msg, *args, **kwargs)

    def log(self, lvl: int | str, msg: Any, *args: Any, **kwargs: Any) -> None:
        try:
            self._emit_extra(kwargs.get("extra"))
            if msg:
                super().log(lvl, msg, *args, **kwargs)
        except Exception:
            Logger.warning(self, "The metric could not be logged.", exc_info=True)

    def _emit_extra(self, extra: dict[str, Any] | None) -> None:
        if not extra or not extra.get(METRIC_VAR) or extra.get(VALUE_VAR) is None:
            return
        send = {
            GAUGE_TYPE: self.gauge,
            COUNTER_TYPE: self.increment,
            HISTOGRAM_TYPE: self.histogram,
            TIMER_TYPE: self.timer,
        }.get(str(extra.get(MTYPE_VAR)))
        if send is not None:
            send(extra[METRIC_VAR], extra[VALUE_VAR])

    def access(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: datetime.timedelta
    ) -> None:
        """Measures a request, whether or not it is logged."""
        super().access(resp, req, environ, request_time)
        milliseconds = request_time.seconds * 1000 + request_time.microseconds / 1000
        self.timer("gunicorn.request.duration", milliseconds)
        self.increment("gunicorn.requests", 1)
        status = resp.status
        if isinstance(status, bytes):
            status = status.decode("latin-1")
        if isinstance(status, str):
            status = status.split(None, 1)[0] if status.strip() else "0"
        if status is not None:
            self.increment(f"gunicorn.request.status.{int(status)}", 1)

    # ---- metrics

    def gauge(self, name: str, value: float) -> None:
        self._send(f"{self.prefix}{name}:{value}|g")

    def increment(self, name: str, value: float, sampling_rate: float = 1.0) -> None:
        self._send(f"{self.prefix}{name}:{value}|c|@{sampling_rate}")

    def decrement(self, name: str, value: float, sampling_rate: float = 1.0) -> None:
        self._send(f"{self.prefix}{name}:-{value}|c|@{sampling_rate}")

    def timer(self, name: str, value: float) -> None:
        self._send(f"{self.prefix}{name}:{value}|ms")

    def histogram(self, name: str, value: float) -> None:
        self._send(f"{self.prefix}{name}:{value}|h")

    def _send(self, line: str) -> None:
        if self.remote is None:
            return
        if self.dogstatsd_tags:
            line = f"{line}|#{self.dogstatsd_tags}"
        self.remote.send(line.encode("ascii", "replace"))
