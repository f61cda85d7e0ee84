"""Dispatching: one thread claims in the store, one settles, several send; what is claimed is sent at once.

No more chunks are claimed than senders are free, so nothing that was claimed waits in a queue; and few at a time, for the
first are sent while the next are claimed. The answers that came meanwhile are settled by a thread of its own. Several threads
that claimed for themselves stood in each other's way: 16 of them took 20 times as long in the database (measured).
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection

from connectors.store import outbox
from connectors.store.outbox import Claimed, Settled
from pipelines.operations.sending import Crm, send_chunk, table_name
from pipelines.operations.sessions import Session
from schemas.errors import CrmError
from schemas.intents import IntentState, Method, Phase

Sent = Future[list[Settled]]

# Chunks claimed in one transaction: more would keep the senders waiting for the first of them.
_CLAIMED_AT_ONCE = 6


@dataclass
class Group:
    """The intents of one phase that go by one method into one table; `after` is the last id claimed so far.

    No chunk has more than `most_rows` (None: as many as the CRM's client thinks good), and none had more than `largest`.
    `unanswered` is what stays claimed, with the words of an answer that decides nothing, where there was one.
    """

    phase: Phase
    method: Method
    table_name: str
    after: int = 0
    most_rows: int | None = None
    largest: int = 0
    unanswered: list[Settled] = field(default_factory=list)


@dataclass
class Progress:
    """What a dispatch has done: how many it claimed, and by phase the answers and how many were superseded instead.

    Each phase that it claimed from is in `superseded`, be it with 0.
    """

    claimed: int = 0
    settled: dict[Phase, list[Settled]] = field(default_factory=dict)
    superseded: dict[Phase, int] = field(default_factory=dict)


class Dispatch:
    """Sends what is pending of some groups until nothing of it can be claimed and nothing is on its way; used once."""

    def __init__(self, session: Session, crm: Crm, groups: Sequence[Group]) -> None:
        self._session = session
        self._crm = crm
        self._groups = list(groups)
        self._senders = session.workspace.policy.crm.writers
        self._running: dict[Sent, Group] = {}
        self._unsettled: list[Settled] = []
        self._settling: Future[None] | None = None
        self._may_find_more = True
        self._error: BaseException | None = None
        self.progress = Progress()

    def drain(self) -> Progress:
        """Send it all. What a sender raises is raised once the others' answers are settled; its chunk stays claimed.

        Of lowerings those of other tables go first, unless the CRM is not reached at all.

        Interrupted, it begins no request any more, and settles what was under way before it lets the interruption through.
        """
        with (
            ThreadPoolExecutor(1, thread_name_prefix="crm-settler") as settler,
            ThreadPoolExecutor(self._senders, thread_name_prefix="crm-sender") as senders,
        ):
            try:
                while self._turn(senders, settler):
                    pass
            except BaseException:
                self._wind_up()
                raise
        if self._error is not None:
            raise self._error
        return self.progress

    def _turn(self, senders: ThreadPoolExecutor, settler: ThreadPoolExecutor) -> bool:
        """Claim and send what there are senders for, have settled what came; False once nothing moves any more."""
        if self._may_find_more and self._free() > 0:
            for group, chunk in self._claim_some():
                stands = partial(self._still_stand, chunk)
                self._running[senders.submit(send_chunk, self._crm, chunk, stands, self._note_sent)] = group
        self._unsettled += self._answers()
        if self._settling is None and self._unsettled:
            self._settling, self._unsettled = settler.submit(self._settle, self._unsettled), []
        under_way: list[Future[Any]] = [*self._running, *([self._settling] if self._settling else [])]
        if under_way and not (self._may_find_more and self._free() > 0):
            wait(under_way, return_when=FIRST_COMPLETED)
        self._note_settled()
        return bool(under_way) or self._may_find_more

    def _free(self) -> int:
        return self._senders - len(self._running)

    def _note_settled(self) -> None:
        """Where answers have been settled, what stood behind them may go now; what settling raised is raised."""
        if self._settling is not None and self._settling.done():
            settled, self._settling = self._settling, None
            settled.result()
            self._may_find_more = True

    def _still_stand(self, chunk: Sequence[Claimed]) -> bool:
        """Whether the ledger justifies all of a chunk now; asked by a sender whose claim had to wait."""
        workspace = self._session.workspace
        with workspace.transaction() as conn:
            return outbox.still_stand(conn, [intent.intent_id for intent in chunk], now=workspace.now())

    def _note_sent(self, etags: Mapping[int, str]) -> None:
        with self._session.workspace.transaction() as conn:
            outbox.note_sent(conn, etags)

    def _wind_up(self) -> None:
        with self._crm.stopped():
            wait(self._running)
        if self._settling is not None:
            wait([self._settling])
        self._settle([*self._unsettled, *self._answers()])

    def _answers(self) -> list[Settled]:
        """The answers that have come, taken off what is on its way."""
        answers: list[Settled] = []
        for sent in [one for one in self._running if one.done()]:
            group = self._running.pop(sent)
            error = sent.exception()
            if error is not None:
                self._give_up(group, error)
                continue
            decided = [one for one in sent.result() if one.state is not IntentState.CLAIMED]
            group.unanswered += [one for one in sent.result() if one.state is IntentState.CLAIMED]
            self.progress.settled.setdefault(group.phase, []).extend(decided)
            answers += decided
        return answers

    def _give_up(self, group: Group, error: BaseException) -> None:
        """Claim no more: of that group where the CRM is reached and other tables' lowerings may go, else of none."""
        self._error = self._error or error
        others_may_go = group.phase is Phase.LOWERING and isinstance(error, CrmError) and not error.transient
        self._groups = [one for one in self._groups if others_may_go and one is not group]

    def _settle(self, answers: Sequence[Settled]) -> None:
        """Record answers. The store may lose in a crash what it recorded last: that is claimed still, and is read back."""
        with self._session.transaction() as conn:
            outbox.settle(conn, answers, at_leisure=True)

    def _claim_some(self) -> list[tuple[Group, list[Claimed]]]:
        """One transaction; gives the chunks to send, and notes whether looking again may find more."""
        chunks: list[tuple[Group, list[Claimed]]] = []
        superseded = 0
        groups = self._groups
        most = min(self._free(), _CLAIMED_AT_ONCE)
        has_skipped = any(group.after for group in groups)
        if groups:
            with self._session.transaction() as conn:
                for group in groups:
                    if len(chunks) < most:
                        found, fell = self._claim(conn, group, most - len(chunks))
                        chunks += [(group, chunk) for chunk in found]
                        superseded += fell
        self._may_find_more = bool(len(chunks) == most or superseded or has_skipped) and bool(groups)
        return chunks

    def _claim(self, conn: Connection, group: Group, free: int) -> tuple[list[list[Claimed]], int]:
        """Chunks of a group for so many free senders, and how many intents were superseded instead."""
        table, is_bulk = table_name(group.table_name), group.method is Method.UPSERT
        rows = self._crm.chunk_rows(table, in_bulk=is_bulk)
        rows = min(rows, group.most_rows or rows)
        key = (group.method, group.table_name)
        # By the clock, not by when the run began: a first load takes hours, in which purposes end.
        now = self._session.workspace.now()
        claimed, superseded = outbox.claim(
            conn, self._session.run_id, group.phase, key, limit=rows * free, now=now, after=group.after
        )
        # At the end it begins again: what an earlier phase held back, or what was put back, may go by now.
        group.after = claimed[-1].intent_id if len(claimed) + superseded == rows * free and claimed else 0
        self.progress.claimed += len(claimed)
        self.progress.superseded[group.phase] = self.progress.superseded.get(group.phase, 0) + superseded
        group.largest = max(group.largest, min(rows, len(claimed)))
        return [claimed[start : start + rows] for start in range(0, len(claimed), rows)], superseded
