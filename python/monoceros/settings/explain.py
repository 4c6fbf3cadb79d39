"""--explain: each setting with its value, where the value came from, and what it does."""

from __future__ import annotations

from monoceros import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from monoceros.contracts import Settings

_EFFECTS = {
    "later": "NOT YET: {}.",
    "refuse": "NOT YET, and the server will not start with it: {}.",
    "unused": "No effect: {}.",
}


def report(cfg: Settings) -> str:
    """Text for a terminal: first what was set, then the defaults."""
    _ = cfg.workers  # works auto out, and with it the reason
    rows = _core.settings_table()
    chosen = [row for row in rows if row[0] in cfg.sources]
    rest = [row for row in rows if row[0] not in cfg.sources]
    parts = []
    for title, some in (("Set", chosen), ("Defaults", rest)):
        parts.append(f"{title}\n{'=' * len(title)}\n")
        parts.extend(_paragraph(cfg, row) for row in some)
    for name, setting in cfg.custom.items():
        parts.append(f"{name} = {setting.get()!r}\n    A setting of this application's own.\n")
    return "\n".join(parts)


def _paragraph(cfg: Settings, row: _core._Row) -> str:
    name, doc, ready, note = row[0], row[8], row[10], row[11]
    lines = [f"{name} = {cfg.values[name]!r}"]
    lines.append(f"    from: {cfg.sources.get(name, 'default')}")
    if cfg.sources.get(name) == f"behind={cfg.behind}":
        why = (row[4] for row in _core.profile_table() if row[:2] == (cfg.behind, name))
        lines.append(f"    why:  {next(why)}")
    if name == "workers" and cfg.workers_reason:
        lines.append(f"    why:  {cfg.workers_reason}")
    lines.append(f"    {doc}")
    if ready in _EFFECTS:
        lines.append("    " + _EFFECTS[ready].format(note))
    return "\n".join(lines) + "\n"
