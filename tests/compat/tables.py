"""All groups of scenarios, the slow ones first so that the others run beside them."""

from __future__ import annotations

import scenarios_asgi
import scenarios_cli
import scenarios_http
import scenarios_logs
import scenarios_process
import scenarios_reload
import scenarios_response
import scenarios_signals

GROUPS = [
    *scenarios_process.GROUPS,
    *scenarios_signals.GROUPS,
    *scenarios_logs.GROUPS,
    *scenarios_reload.GROUPS,
    *scenarios_cli.GROUPS,
    *scenarios_response.GROUPS,
    *scenarios_http.GROUPS,
    *scenarios_asgi.GROUPS,
]
