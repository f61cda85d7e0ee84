"""The web sources of a run: Webropol and the website, served over HTTPS on two ports by one thread of this process.

The certificate authority is made for the run; clients are to trust `ca_path` and nothing else.
"""

import asyncio
import socket
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Event, Thread
from typing import Self

import uvicorn
from starlette.applications import Starlette

from sandbox.dataverse.tls import make_certificates
from sandbox.drupal import DrupalStandIn
from sandbox.organisation import Organisation
from sandbox.webropol_api import WebropolStandIn

_HOST = "127.0.0.1"
_START_S = 20


@dataclass(frozen=True, slots=True)
class SourceCredentials:
    """What the stand-ins let in; made up, and good for them alone."""

    webropol_username: str = "intake-reader"
    webropol_password: str = "sandbox-webropol"
    drupal_api_key: str = "sandbox-drupal"


class _Served(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, app: Starlette, *, directory: Path) -> None:
        certificate, key = str(directory / "server.pem"), str(directory / "server.key")
        config = uvicorn.Config(app, ssl_certfile=certificate, ssl_keyfile=key, log_level="critical", lifespan="off")
        super().__init__(config)
        self.listens = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listens.set()


class RunningSources:
    """The running stand-ins; a context manager that stops them."""

    credentials: SourceCredentials

    def __init__(
        self, webropol: WebropolStandIn, drupal: DrupalStandIn, *, directory: Path, ports: tuple[int, int]
    ) -> None:
        make_certificates(directory)
        self.webropol, self.drupal = webropol, drupal
        self.ca_path = directory / "ca.pem"
        self._sockets = [_listener(port) for port in ports]
        self._servers = [_Served(standin.app(), directory=directory) for standin in (webropol, drupal)]
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="sandbox-sources", daemon=True)
        self._thread.start()
        if not all(server.listens.wait(_START_S) for server in self._servers):
            self.stop()
            raise RuntimeError("The stand-ins of the sources did not start. Check that their ports are free.")

    @property
    def webropol_url(self) -> str:
        return self._url(0)

    @property
    def drupal_url(self) -> str:
        return self._url(1)

    def set_through(self, day: date) -> None:
        """From now on the sources show their state at the end of `day`."""
        self.webropol.through = self.drupal.through = day

    def stop(self) -> None:
        """Stops serving; returns when both have stopped."""
        for server in self._servers:
            server.should_exit = True
        self._thread.join(_START_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _url(self, number: int) -> str:
        return f"https://{_HOST}:{self._sockets[number].getsockname()[1]}"

    async def _serve(self) -> None:
        pairs = zip(self._servers, self._sockets, strict=True)
        await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in pairs))


def start_sources(
    directory: Path,
    organisation: Organisation,
    *,
    through: date,
    credentials: SourceCredentials = SourceCredentials(),
    ports: tuple[int, int] = (0, 0),
) -> RunningSources:
    """Serves the organisation's web sources as of the end of `through`; certificates go to `directory`.

    `ports` are Webropol's and the website's; 0 takes a free one.
    """
    webropol = WebropolStandIn(
        organisation,
        through=through,
        username=credentials.webropol_username,
        password=credentials.webropol_password,
    )
    drupal = DrupalStandIn(organisation, through=through, api_key=credentials.drupal_api_key)
    running = RunningSources(webropol, drupal, directory=directory, ports=ports)
    running.credentials = credentials
    return running


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((_HOST, port))
    return listener
