"""Statistics that recover nobody: an attacker with everything published, of every month, narrows no withheld cell down."""

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from pipelines.transforms.regions import regions_by_prefix
from pipelines.transforms.statistics import OCCASION, REGION, Published, feasible_interval, occasion_name, protect
from tests.sizes import sized

K = 10
WORLDS = sized(12, 400)


def make_counts(seed: int) -> list[dict[str, Any]]:
    """A month of a few courses and events, most of them small, from some regions."""
    rng = random.Random(seed)
    regions = [f"region {n}" for n in range(rng.randint(1, 6))]
    counts = []
    for number in range(rng.randint(1, 8)):
        kind = rng.choice(["course_registration", "event_registration"])
        topic = rng.choice(["health", "business", "technology"])
        size = rng.choice([1, 3, 9, 10, 12, 40, 300])
        for region in rng.sample(regions, rng.randint(1, len(regions))):
            counts.append(row(number, region, rng.randint(0, size), kind=kind, topic=topic))
    if rng.random() < 0.5:
        # Staff enter some more of the first by hand, without its topic.
        counts.append(row(0, rng.choice(regions), rng.choice([1, 3, 9, 40]), source="manual", topic="unknown"))
    return counts


def row(number: int, region: str, participants: int, **changes: str) -> dict[str, Any]:
    plain = {"source": "webropol", "occasion_id": f"e{number}", "name": f"Event {number}", "kind": "event_registration"}
    return {**plain, "topic": "health", "region": region, "participants": participants, **changes}


def truth(counts: Iterable[dict[str, Any]], dimension: str, value: str) -> int:
    """What a cell really is, counted here anew."""
    keys = {"total": lambda r: "all", OCCASION: occasion_name}
    of = keys.get(dimension, lambda r: r[dimension])
    return sum(r["participants"] for r in counts if of(r) == value)


def attack(published: list[Published], counts: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[float, float]]:
    """By withheld cell the least and the most it can be, to one who knows all that is published and which courses were of
    which kind and topic in which source, and solves for every number of people by course, source and region at once."""
    fixed = {(r["source"], occasion_name(r)): r for r in counts}
    occasions = sorted(fixed)
    regions = sorted({r["region"] for r in counts})
    size = len(occasions) * len(regions)

    def functional(cell: Published) -> np.ndarray:
        weights = np.zeros(size)
        for i, occasion in enumerate(occasions):
            for j, region in enumerate(regions):
                is_in = {
                    "total": True,
                    OCCASION: cell.value == occasion_name(fixed[occasion]),
                    REGION: cell.value == region,
                    "kind": cell.value == fixed[occasion]["kind"],
                    "topic": cell.value == fixed[occasion]["topic"],
                }[cell.dimension]
                weights[i * len(regions) + j] = float(is_in)
        return weights

    shown = [cell for cell in published if cell.participants is not None]
    equal = np.array([functional(cell) for cell in shown]) if shown else None
    right = [float(cell.participants or 0) for cell in shown] or None
    # A listed cell is not empty.
    least = -np.array([functional(cell) for cell in published])
    found = {}
    for cell in published:
        if cell.participants is None:
            weights, ends = functional(cell), []
            for sign in (1, -1):
                solved = linprog(
                    sign * weights, A_ub=least, b_ub=-np.ones(len(published)), A_eq=equal, b_eq=right, method="highs"
                )
                assert solved.status in (0, 3), solved.message
                ends.append(sign * solved.fun if solved.status == 0 else np.inf)
            found[cell.dimension, cell.value] = (ends[0], ends[1])
    return found


@pytest.mark.parametrize("seed", range(WORLDS))
def test_an_attack_with_everything_published_recovers_no_cell(seed: int) -> None:
    counts = [r for r in make_counts(seed) if r["participants"]]
    published = protect(counts, k=K)
    for cell in published:
        assert cell.participants is None or cell.participants == truth(counts, cell.dimension, cell.value) >= K
    for (dimension, value), (low, high) in attack(published, counts).items():
        assert high - low >= K - 1e-6, f"{dimension} {value} lies between {low} and {high}"
        assert low - 1e-6 <= truth(counts, dimension, value) <= high + 1e-6, "the attack is a sound one"


def test_the_attack_recovers_what_is_not_protected() -> None:
    """It can fail: with only the small cells withheld, the one small event is its topic's rest."""
    counts = [row(1, "a", 40), row(2, "a", 25), row(3, "a", 4)]
    naive = [
        Published("total", "all", 69),
        *(Published(OCCASION, occasion_name(r), n if (n := r["participants"]) >= K else None) for r in counts),
    ]
    [(low, high)] = attack(naive, counts).values()
    assert (round(low), round(high)) == (4, 4)
    assert sum(cell.participants is None for cell in protect(counts, k=K)) >= 2


def test_of_an_event_of_two_sources_neither_part_is_what_is_left_of_the_other() -> None:
    """103 in all and 100 of the topic that one source gives it would leave the three that the other one has."""
    counts = [row(1, "a", 100, topic="business"), row(1, "a", 3, source="manual", topic="unknown")]
    published = protect(counts, k=K)
    found = {(cell.dimension, cell.value): cell.participants for cell in published}
    assert found[OCCASION, occasion_name(counts[0])] in (103, None)
    for (dimension, value), (low, high) in attack(published, counts).items():
        assert high - low >= K - 1e-6, f"{dimension} {value} lies between {low} and {high}"


def test_what_cannot_be_solved_is_not_taken_for_safe() -> None:
    """As where two cells contradict each other: nothing is known of how far a third can be narrowed down."""
    total, kind, topic = (("total", "all"), ("kind", "course"), ("topic", "health"))
    of = frozenset({("occasion", "webropol", "e1")})
    with pytest.raises(AssertionError, match="status 2"):
        feasible_interval(topic, {total: 40, kind: 30, topic: None}, dict.fromkeys((total, kind, topic), of))


def test_large_cells_are_published_as_they_are() -> None:
    counts = [row(1, "a", 40), row(2, "b", 25, topic="business")]
    published = {(cell.dimension, cell.value): cell.participants for cell in protect(counts, k=K)}
    assert published["total", "all"] == 65
    assert None not in published.values()


def test_a_month_of_fewer_than_k_people_says_nothing_at_all() -> None:
    assert protect([row(1, "a", 4), row(2, "b", 5)], k=K) == []
    assert protect([], k=K) == []


def test_the_order_of_the_counts_does_not_matter() -> None:
    counts = make_counts(3)
    assert protect(counts, k=K) == protect(list(reversed(counts)), k=K)


def test_every_postal_code_has_a_region() -> None:
    assert set(regions_by_prefix()) == {f"{n:02d}" for n in range(100)}
