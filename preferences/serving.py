"""Serving: uvicorn over an opened door. No access log, for tokens stand in addresses; the last line is who proxies."""

import uvicorn
from fastapi import FastAPI

from preferences.app import make_app
from preferences.door import Door

THREADS_QUEUE = 2048


def server_of(app: FastAPI, *, host: str, port: int, proxies: str = "127.0.0.1") -> uvicorn.Server:
    """A server that is not started; `proxies` are the addresses whose word on the client's address is taken."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=proxies,
        timeout_keep_alive=15,
        backlog=THREADS_QUEUE,
    )
    return uvicorn.Server(config)


def serve(door: Door, *, host: str, port: int, proxies: str = "127.0.0.1") -> None:
    """Serve until interrupted."""
    server_of(make_app(door), host=host, port=port, proxies=proxies).run()
