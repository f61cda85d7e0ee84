"""Serving the local page on the loopback address, until it is interrupted."""

import socket
from collections.abc import Callable

import uvicorn

from pipelines.operations.workspace import Workspace
from preferences.local.app import build_local_app
from preferences.local.guard import Keys

HOST = "127.0.0.1"


def serve_local(workspace: Workspace, *, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve; `on_ready` is told the address with the key that opens it. No access log: addresses would be in it."""
    keys = Keys()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        bound = listener.getsockname()[1]
        app = build_local_app(workspace, port=bound, keys=keys)
        on_ready(f"http://{HOST}:{bound}/?key={keys.door}")
        server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning", lifespan="off"))
        server.run(sockets=[listener])
