"""Rows that the CRM fails at: sent in ever smaller chunks until each is alone, then refused for the run if it still fails.

A plug-in that crashes at one row, or a database error that is no deadlock, is answered as the server's own failure: nobody
says which row it was, and none of its chunk is there. The others must not wait for it. A CRM that fails at whatever is
written answers just so, and still answers what is read: only what landed meanwhile shows that it is the row.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from connectors.store.outbox import Settled
from pipelines.operations.dispatching import Group, Progress
from schemas.intents import IntentState, Method, Phase

Key = tuple[Phase, Method, str]

ALONE_TRIES = 3
PARTS = 8
# Where more fail, and few land beside them, the CRM is ill, and smaller chunks would only be more of them.
_MOST_DIVIDED = 1000
# So many may be refused in a stage in which nothing landed beside them.
_MOST_REFUSED = 20
# Answers of the server itself: what a gateway says, or a lost answer, tells nothing of a row.
_OF_THE_SERVER = frozenset({400, 500})


class Trials:
    """What keeps failing in one stage, round by round; used by one thread."""

    def __init__(self) -> None:
        self._most_rows: dict[Key, int] = {}
        self._failed_alone: Counter[int] = Counter()
        self._failing: dict[int, Settled] = {}
        self._blamed: set[int] = set()
        self._has_landed = False

    def most_rows(self, key: Key) -> int | None:
        """How many rows the next chunk of a group may have; None where nothing of it has failed."""
        return self._most_rows.get(key)

    def note(self, groups: Sequence[Group], progress: Progress) -> None:
        """What a round came to, before what has no answer is looked up."""
        landed = sum(one.state is IntentState.ACKNOWLEDGED for some in progress.settled.values() for one in some)
        self._failing = {one.intent_id: one for group in groups for one in _failing(group)}
        may_divide = len(self._failing) <= max(_MOST_DIVIDED, PARTS * landed)
        for group in groups:
            failing = _failing(group)
            if failing and may_divide:
                self._most_rows[group.phase, group.method, group.table_name] = max(1, group.largest // PARTS)
            if group.largest == 1:
                self._failed_alone.update(one.intent_id for one in failing)
        # Others landed in this round or the one before: the CRM is well, and it is these rows that it fails at.
        if landed or self._has_landed:
            self._blamed.update(self._failed_alone)
        self._has_landed = landed > 0

    def doubtful(self, looked_up: Sequence[Settled]) -> list[int]:
        """The intents that failed too often alone while nothing landed beside them: the row's fault, or the CRM's."""
        if len(self._failing) > _MOST_REFUSED:
            return []
        given_up = [one.intent_id for one in looked_up if self._is_given_up(one)]
        return [one for one in given_up if one not in self._blamed]

    def judged(self, looked_up: Sequence[Settled], at_fault: Collection[int]) -> list[Settled]:
        """What was looked up; what is to go again bears the answer that it last had.

        Refused is a row that failed too often alone, where others landed beside it or it is `at_fault` for another reason.
        """
        return [self._judged(one, at_fault) if one.intent_id in self._failing else one for one in looked_up]

    def _judged(self, one: Settled, at_fault: Collection[int]) -> Settled:
        if one.state is not IntentState.PENDING:
            return one
        is_at_fault = one.intent_id in self._blamed or one.intent_id in at_fault
        state = IntentState.REFUSED if is_at_fault and self._is_given_up(one) else IntentState.PENDING
        return replace(self._failing[one.intent_id], state=state)

    def _is_given_up(self, one: Settled) -> bool:
        is_failing = one.state is IntentState.PENDING and one.intent_id in self._failing
        return is_failing and self._failed_alone[one.intent_id] >= ALONE_TRIES


def _failing(group: Group) -> list[Settled]:
    return [one for one in group.unanswered if one.status in _OF_THE_SERVER]
