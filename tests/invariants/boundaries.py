"""Crashes to order: a run dies at the n-th place where it meets the outside world, and does nothing more after that.

The places are every commit of the store that keeps anything, every request to the CRM that may change it (before it
leaves, and after it was answered), every bulk load, and every removal of a dropped file. A commit's far side is the near
side of the next place. What only reads, in the store or in the CRM, is on neither side of anything: a process that dies
before it leaves behind what one that dies after it leaves.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from adbc_driver_manager import dbapi
from sqlalchemy import Engine


class Crash(BaseException):
    """The end of the process, as far as the code under test can tell."""


class Boundaries:
    """Counts the places passed; from place `fatal` (counted from 1; None: never) each one kills."""

    def __init__(self, fatal: int | None) -> None:
        self.fatal = fatal
        self.passed = 0

    def passing(self) -> None:
        """One place."""
        self.passed += 1
        if self.fatal is not None and self.passed >= self.fatal:
            raise Crash


@contextmanager
def watched(engine: Engine, fatal: int | None) -> Iterator[Boundaries]:
    """Within the block the places are counted, and the fatal one kills."""
    places = Boundaries(fatal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.dialect, "do_commit", _before(engine.dialect.do_commit, places, if_=_has_written))
        patch.setattr(requests.Session, "send", _around(requests.Session.send, places))
        patch.setattr(dbapi.Connection, "commit", _before(dbapi.Connection.commit, places))
        patch.setattr(Path, "unlink", _before(Path.unlink, places))
        yield places


def _before(
    act: Callable[..., Any], places: Boundaries, *, if_: Callable[[Any], bool] = lambda _: True
) -> Callable[..., Any]:
    def crossing(*args: Any, **kwargs: Any) -> Any:
        if if_(args[0]):
            places.passing()
        return act(*args, **kwargs)

    return crossing


def _around(act: Callable[..., Any], places: Boundaries) -> Callable[..., Any]:
    def crossing(session: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> Any:
        if request.method == "GET":
            return act(session, request, **kwargs)
        places.passing()
        answer = act(session, request, **kwargs)
        places.passing()
        return answer

    return crossing


def _has_written(connection: Any) -> bool:
    cursor = connection.cursor()
    cursor.execute("select pg_current_xact_id_if_assigned() is not null")
    return bool(cursor.fetchone()[0])
