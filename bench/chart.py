"""Draws the chart: `chart.py DATA.json STEM` writes STEM.svg and STEM.png.

Run by the bench environment's Python, the only one that has matplotlib.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS, PEER, LIMIT = "#c2410c", "#94a3b8", "#334155"
COLUMNS = 2
FOOT = "* holds the whole answer back, against PEP 3333"


def colour(server: str) -> str:
    """One colour for us, one for the limit, one for all peers."""
    if server.startswith("monoceros"):
        return OURS
    return LIMIT if server == "bare" else PEER


def draw_panel(axes: Any, panel: dict[str, Any]) -> None:
    """Bars from most to least requests per CPU second, each with its number."""
    bars = sorted(panel["bars"], key=lambda bar: bar["per_cpu_s"])
    names = [bar["server"] + bar["mark"] for bar in bars]
    thousands = [bar["per_cpu_s"] / 1000 for bar in bars]
    drawn = axes.barh(names, thousands, color=[colour(bar["server"]) for bar in bars], height=0.72)
    axes.bar_label(drawn, labels=[f"{value:.1f}" for value in thousands], padding=3, fontsize=8)
    axes.set_title(panel["title"], fontsize=10, loc="left", fontweight="bold")
    axes.set_xlim(0, max(thousands) * 1.14)
    axes.tick_params(axis="y", length=0, labelsize=8.5)
    axes.xaxis.set_visible(False)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    for label in axes.get_yticklabels():
        if label.get_text().startswith("monoceros"):
            label.set_fontweight("bold")


def main() -> None:
    """Read the panels, draw them in two columns, save both formats."""
    panels = json.loads(Path(sys.argv[1]).read_text())
    if not panels:
        sys.exit("nothing to draw")
    matplotlib.rcParams["svg.hashsalt"] = "bench"  # same data, same bytes
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure, grid = plt.subplots(rows, columns, figsize=(5.2 * columns, 2.6 * rows + 0.7))
    cells = list(grid.flat) if len(panels) > 1 else [grid]
    for axes, panel in zip(cells, panels, strict=False):
        draw_panel(axes, panel)
    for axes in cells[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle("Thousand requests per second of server CPU (more is better)", fontsize=12)
    if any(bar["mark"] for panel in panels for bar in panel["bars"]):
        figure.text(0.01, 0.004, FOOT, fontsize=7.5, color=LIMIT)
    figure.tight_layout(rect=(0, 0.01, 1, 0.99))
    figure.savefig(f"{sys.argv[2]}.svg", metadata={"Date": None})
    figure.savefig(f"{sys.argv[2]}.png", dpi=110)


if __name__ == "__main__":
    main()
