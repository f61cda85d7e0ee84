"""The emulator's process: `python -m sandbox.dataverse --dir DIR [--port N] [--http] [--options FILE]`."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import FrameType

import uvicorn

from .app import Application
from .identity import load_identity, save_identity, with_default_client
from .options import EmulatorOptions
from .sandbox import Sandbox
from .tls import make_certificates


class _Server(uvicorn.Server):
    """Drops idle connections at once when it stops; uvicorn would wait for each client to say goodbye over TLS."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is None or cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)


def main() -> None:
    """Serves until it is terminated; then leaves a compact journal."""
    arguments = _arguments()
    directory = arguments.dir
    identity = load_identity(directory)
    listening = _listen(arguments.port or identity.port or 0)
    save_identity(directory, replace(identity, port=listening.getsockname()[1]))
    options = EmulatorOptions.from_json(json.loads(arguments.options.read_text()) if arguments.options else {})
    options = with_default_client(options, identity)
    sandbox = Sandbox(options, token_key=bytes.fromhex(identity.token_key), directory=directory)
    server = _Server(_config(Application(sandbox), directory, tls=not arguments.http))
    if arguments.exit_with_parent:
        threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    scheme = "http" if arguments.http else "https"
    sys.stdout.write(json.dumps({"base_url": f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _survive)
    server.run(sockets=[listening])
    sandbox.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandbox.dataverse", description="A stand-in for Dataverse.")
    parser.add_argument("--dir", type=Path, required=True, help="where certificates, secrets and rows are kept")
    parser.add_argument("--port", type=int, default=0, help="0: the port of last time, else a free one")
    parser.add_argument("--http", action="store_true", help="plain http instead of TLS")
    parser.add_argument("--options", type=Path, help="a JSON file of EmulatorOptions")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return parser.parse_args()


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    return listening


def _config(application: Application, directory: Path, *, tls: bool) -> uvicorn.Config:
    files = {}
    if tls:
        make_certificates(directory / "tls")
        files = {
            "ssl_certfile": str(directory / "tls" / "server.pem"),
            "ssl_keyfile": str(directory / "tls" / "server.key"),
        }
    return uvicorn.Config(
        application,
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        **files,  # type: ignore[arg-type]
    )


def _survive(number: int, frame: FrameType | None) -> None:
    """uvicorn raises a signal again once it has stopped; the journal is still to be closed then."""


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    sys.stdin.buffer.read()
    server.should_exit = True


if __name__ == "__main__":
    main()
