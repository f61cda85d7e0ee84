"""A stand-in for a mail server: takes every message over SMTP on a loopback port and keeps it in memory."""

import socket
import threading
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller


@dataclass
class Mailbox:
    """A running mail server, which refuses mails to `refuses`. As a context manager it stops at the end."""

    port: int = 0
    refuses: set[str] = field(default_factory=set)
    _arrived: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()), repr=False)
    _messages: list[EmailMessage] = field(default_factory=list, repr=False)
    _controller: Controller | None = field(default=None, repr=False)

    def messages(self, to: str = "") -> list[EmailMessage]:
        """Every message so far, or those to an address."""
        with self._arrived:
            return [one for one in self._messages if not to or one["To"] == to]

    def wait_for(self, count: int, to: str = "", *, within_s: float = 10.0) -> list[EmailMessage]:
        """The messages (to an address) once there are so many; TimeoutError."""
        with self._arrived:
            known = self._arrived.wait_for(lambda: len(self.messages(to)) >= count, timeout=within_s)
        if not known:
            raise TimeoutError(f"{len(self.messages(to))} of {count} messages came within {within_s:g} s")
        return self.messages(to)

    def clear(self) -> None:
        """Forget what came, and refuse nobody."""
        self.refuses.clear()
        with self._arrived:
            self._messages.clear()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        server: Any,  # noqa: ARG002 - aiosmtpd's call
        session: Any,  # noqa: ARG002
        envelope: Any,
        address: str,
        rcpt_options: list[str],  # noqa: ARG002
    ) -> str:
        """Take a recipient, or refuse it."""
        if address in self.refuses:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802, ARG002 - aiosmtpd's name
        """Keep one message."""
        message = message_from_bytes(envelope.content, policy=policy.default)
        with self._arrived:
            self._messages.append(message)  # type: ignore[arg-type]
            self._arrived.notify_all()
        return "250 kept"

    def __enter__(self) -> Self:
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._controller is not None:
            self._controller.stop()
