"""Rows that the CRM fails at: sent in ever smaller chunks until each is alone, then refused for the run if it still fails.

A plug-in that crashes at one row, or a database error that is no deadlock, is answered as the server's own failure: nobody
says which row it was, and none of its chunk is there. The others must not wait for it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from connectors.store.outbox import Settled
from pipelines.operations.dispatching import Group, Progress
from schemas.intents import IntentState, Method, Phase

Key = tuple[Phase, Method, str]

ALONE_TRIES = 3
PARTS = 8
# Where more fail, and few land beside them, the CRM is ill, and smaller chunks would only be more of them.
_MOST_DIVIDED = 1000
# So many may be refused in a stage in which nothing landed at all.
_MOST_REFUSED = 20
# Answers of the server itself: what a gateway says, or a lost answer, tells nothing of a row.
_OF_THE_SERVER = frozenset({400, 500})


class Trials:
    """What keeps failing in one stage, round by round; used by one thread."""

    def __init__(self) -> None:
        self._most_rows: dict[Key, int] = {}
        self._failed_alone: Counter[int] = Counter()
        self._failing: dict[int, Settled] = {}
        self._has_landed = False

    def most_rows(self, key: Key) -> int | None:
        """How many rows the next chunk of a group may have; None where nothing of it has failed."""
        return self._most_rows.get(key)

    def note(self, groups: Sequence[Group], progress: Progress) -> None:
        """What a round came to, before what has no answer is looked up."""
        landed = sum(one.state is IntentState.ACKNOWLEDGED for some in progress.settled.values() for one in some)
        self._has_landed = self._has_landed or landed > 0
        self._failing = {one.intent_id: one for group in groups for one in _failing(group)}
        may_divide = len(self._failing) <= max(_MOST_DIVIDED, PARTS * landed)
        for group in groups:
            failing = _failing(group)
            if failing and may_divide:
                self._most_rows[group.phase, group.method, group.table_name] = max(1, group.largest // PARTS)
            if group.largest == 1:
                self._failed_alone.update(one.intent_id for one in failing)

    def judged(self, looked_up: Sequence[Settled]) -> list[Settled]:
        """What was looked up; of what is to go again, a row that failed too often alone is refused as it was last answered."""
        is_ill = not self._has_landed and len(self._failing) > _MOST_REFUSED
        return [
            replace(self._failing[one.intent_id], state=IntentState.REFUSED)
            if one.state is IntentState.PENDING and not is_ill and self._is_given_up(one.intent_id)
            else one
            for one in looked_up
        ]

    def _is_given_up(self, intent_id: int) -> bool:
        return intent_id in self._failing and self._failed_alone[intent_id] >= ALONE_TRIES


def _failing(group: Group) -> list[Settled]:
    return [one for one in group.unanswered if one.status in _OF_THE_SERVER]
