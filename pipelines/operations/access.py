"""Access: who reads a person's data, and for what. The entry stands before the data is shown; it holds ids, no value."""

import os
import pwd
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from sqlalchemy import Connection

from connectors.store.access_log import ReadEntry, append_read

NOT_STATED = "not stated"


class Transactional(Protocol):
    """Whatever opens a transaction under a role of ours."""

    def transaction(self) -> AbstractContextManager[Connection]: ...


@dataclass
class Reading:
    """One use of a command that shows a person's data; `about` are the ids that it was asked for."""

    command: str
    purpose: str
    about: str = ""
    is_noted: bool = field(default=False, init=False)

    def note(self, conn: Connection, contact_point_ids: Sequence[UUID] = ()) -> None:
        """Write it down, in the caller's transaction; of several contact points at once, or once for each look."""
        entry = ReadEntry(os_user(), self.command, self.purpose, contact_point_ids, self.about)
        append_read(conn, entry)
        self.is_noted = True


def os_user() -> str:
    """Who runs this process, by the operating system's own word and not by the environment's."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def is_id(value: object) -> bool:
    """Whether a value can only be an id: a number or a GUID."""
    if isinstance(value, int) and not isinstance(value, bool):
        return True
    try:
        UUID(str(value))
    except ValueError:
        return False
    return True
