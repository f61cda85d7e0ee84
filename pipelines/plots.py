"""Pictures of aggregates, as PNG bytes small enough to stand within an asset's metadata. Pure: counts in, bytes out."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by people who are colour-blind (https://jfly.uni-koeln.de/color/).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
DPI = 90


def draw_funnel(stages: Sequence[Mapping[str, Any]]) -> bytes:
    """A bar for each stage (`stage`, `rows`), in the order given, from the top."""
    figure = _figure(height=2.4)
    axes = figure.subplots()
    names = [stage["stage"] for stage in stages]
    counts = [int(stage["rows"]) for stage in stages]
    bars = axes.barh(names, counts, color=COLOURS[0])
    axes.bar_label(bars, labels=[f"{count:,}" for count in counts], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("addresses")
    return _png(figure)


def draw_received(received: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows per day (`source`, `received_on`, `rows`), one stacked bar a day."""
    figure = _figure(height=2.8)
    axes = figure.subplots()
    days = sorted({row["received_on"] for row in received})
    height = dict.fromkeys(days, 0)
    for colour, source in zip(COLOURS, sorted({row["source"] for row in received}), strict=False):
        rows = {row["received_on"]: int(row["rows"]) for row in received if row["source"] == source}
        counts = [rows.get(day, 0) for day in days]
        axes.bar(days, counts, bottom=[height[day] for day in days], color=colour, label=source)
        height = {day: height[day] + rows.get(day, 0) for day in days}
    axes.set_ylabel("rows")
    if received:
        axes.legend(frameon=False, fontsize=8)
        figure.autofmt_xdate()
    return _png(figure)


def _figure(*, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(7.5, height), dpi=DPI, layout="constrained")


def _png(figure: "Figure") -> bytes:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def draw_participants(cells: Sequence[Mapping[str, Any]]) -> bytes:
    """Published cells (`dimension`, `value`, `participants`; None: withheld), a panel for each dimension, largest first."""
    named = ("kind", "topic", "region", "occasion")
    groups = {name: [cell for cell in cells if cell["dimension"] == name][:25] for name in named}
    groups = {name: found for name, found in groups.items() if found} or {"nothing published": []}
    sizes = [max(len(found), 1) for found in groups.values()]
    figure = _figure(height=0.9 * len(sizes) + 0.28 * sum(sizes))
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=sizes, sharex=True)[:, 0]
    for axes, (name, found) in zip(panels, groups.items(), strict=True):
        _draw_cells(axes, name, sorted(found, key=lambda cell: -(cell["participants"] or 0)))
    panels[-1].set_xlabel("participants")
    return _png(figure)


def _draw_cells(axes: Any, name: str, cells: Sequence[Mapping[str, Any]]) -> None:
    labels = [" ".join(filter(None, (cell.get("period"), str(cell["value"])))) for cell in cells]
    counts = [int(cell["participants"] or 0) for cell in cells]
    bars = axes.barh(range(len(cells)), counts, color=COLOURS[0])
    shown = ["withheld" if cell["participants"] is None else f"{cell['participants']:,}" for cell in cells]
    axes.bar_label(bars, labels=shown, padding=3, fontsize=8)
    axes.set_yticks(range(len(cells)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title(name, loc="left", fontsize=9)
