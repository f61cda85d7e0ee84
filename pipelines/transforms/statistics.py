"""What may be published of a month's counts: no cell of fewer than k people, and none that can be worked out from others.

Cells that are too small are withheld; then more, smallest first, until whoever has all that is published cannot narrow any
withheld cell down to fewer than k + 1 values. That is measured as an attacker would, by linear programming over everything
published (complementary suppression: Hundepool et al., Statistical Disclosure Control, ch. 4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOTAL, OCCASION, REGION = "total", "occasion", "region"
DIMENSIONS = (TOTAL, "kind", "topic", OCCASION, REGION)
Cell = tuple[str, str]
# An unknown of whoever attacks: (REGION, name), or (OCCASION, source, occasion_id), for two sources may tell of one occasion
# under one name.
Part = tuple[str, ...]
# https://docs.scipy.org/doc/scipy/reference/generated/scipy.optimize.linprog.html: `status` of a result.
_OPTIMAL, _UNBOUNDED = 0, 3


@dataclass(frozen=True)
class Published:
    """One cell: None where it is withheld. Cells of nobody are not listed at all."""

    dimension: str
    value: str
    participants: int | None


def protect(counts: Sequence[Mapping[str, Any]], *, k: int) -> list[Published]:
    """The cells of a month by dimension and value, from counts by occasion and region (`kind`, `topic`, `name`,
    `occasion_id`, `source`, `region`, `participants`). Nothing where fewer than k took part in all."""
    counted = [row for row in counts if row["participants"] > 0]
    cells = _cells(counted)
    if cells.get((TOTAL, "all"), 0) < k:
        return []
    shown: dict[Cell, int | None] = {cell: n if n >= k else None for cell, n in cells.items()}
    members = _members(counted)
    # What is safe stays safe: to withhold more only leaves more possible.
    unsafe = sorted(cell for cell, n in shown.items() if n is None)
    while unsafe:
        low, high = feasible_interval(unsafe[0], shown, members)
        if high - low >= k:
            unsafe.pop(0)
            continue
        more = _next_withheld(unsafe[0], shown, members, cells)
        shown[more] = None
        unsafe.append(more)
    return [Published(dimension, value, shown[dimension, value]) for dimension, value in sorted(shown)]


def _cells(counts: Sequence[Mapping[str, Any]]) -> dict[Cell, int]:
    cells: dict[Cell, int] = {}
    for row in counts:
        for cell in _cells_of(row):
            cells[cell] = cells.get(cell, 0) + row["participants"]
    return cells


def _cells_of(row: Mapping[str, Any]) -> list[Cell]:
    named = [(dimension, str(row[dimension])) for dimension in ("kind", "topic", REGION)]
    return [(TOTAL, "all"), (OCCASION, occasion_name(row)), *named]


def occasion_name(row: Mapping[str, Any]) -> str:
    """What an occasion is called where it is published: its name and its id, for names come again."""
    return f"{row['name']} ({row['occasion_id']})"


def _members(counts: Sequence[Mapping[str, Any]]) -> dict[Cell, frozenset[Part]]:
    """By cell, the occasions or regions that it is the sum of: any two lists of them with one total fit together, so that
    they are all the unknowns there are."""
    members: dict[Cell, set[Part]] = {}
    for row in counts:
        occasion, region = (OCCASION, str(row["source"]), str(row["occasion_id"])), (REGION, str(row["region"]))
        for cell in _cells_of(row):
            members.setdefault(cell, set()).add(region if cell[0] == REGION else occasion)
    return {cell: frozenset(parts) for cell, parts in members.items()}


def feasible_interval(
    cell: Cell, shown: Mapping[Cell, int | None], members: Mapping[Cell, frozenset[Part]]
) -> tuple[float, float]:
    """The least and the most that a withheld cell can be, given all that is shown and that no listed cell is empty."""
    import numpy as np
    from scipy.optimize import linprog

    unknowns = sorted({part for parts in members.values() for part in parts})
    place = {part: n for n, part in enumerate(unknowns)}

    def total_of(parts: frozenset[Part]) -> Any:
        row = np.zeros(len(unknowns))
        row[[place[part] for part in parts]] = 1
        return row

    # Occasions and regions count the same people.
    equal = [np.array([1.0 if part[0] == OCCASION else -1.0 for part in unknowns])]
    known = [total_of(members[each]) for each, n in shown.items() if n is not None]
    left, right = np.array(equal + known), [0.0, *(float(n) for n in shown.values() if n is not None)]
    ends = []
    for sign in (1, -1):
        solved = linprog(sign * total_of(members[cell]), A_eq=left, b_eq=right, bounds=(1, None), method="highs")
        ends.append(sign * _least(solved))
    return float(ends[0]), float(ends[1])


def _least(solved: Any) -> float:
    """The minimum that was found, -inf where there is none.

    Whatever else is no answer: the true counts are a solution always, and what is not solved is not safe to be published.
    """
    if solved.status == _UNBOUNDED:
        return float("-inf")
    if solved.status != _OPTIMAL:
        raise AssertionError(f"what is published was not attacked: linprog ended with status {solved.status}")
    return float(solved.fun)


def _next_withheld(
    weak: Cell, shown: Mapping[Cell, int | None], members: Mapping[Cell, frozenset[Part]], cells: Mapping[Cell, int]
) -> Cell:
    """What else to withhold: the smallest cell beside the weak one, then of what it is a part of, then any."""
    open_cells = [cell for cell, n in shown.items() if n is not None]
    parts = members[weak]
    beside = [cell for cell in open_cells if cell[0] == weak[0]]
    around = [cell for cell in open_cells if members[cell] & parts]
    for group in (beside if weak[0] != TOTAL else [], around, open_cells):
        if group:
            return min(group, key=lambda cell: (cells[cell], cell))
    raise AssertionError("with nothing shown no cell is weak")
