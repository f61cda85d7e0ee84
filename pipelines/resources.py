"""What assets, checks and sensors are given: the workspace, opened when first needed and once per process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import dagster as dg

from connectors.dataverse import DataverseClient
from pipelines.operations.workspace import Workspace, dataverse_client, open_workspace
from pipelines.settings import Settings, load_settings


class WorkspacePort(Protocol):
    """What definitions need of the workspace, whoever opens it."""

    def open(self) -> Workspace: ...

    def tell(self, text: str) -> None: ...


class WorkspaceResource(dg.ConfigurableResource):
    """The workspace that the environment names. Nothing is read before a step, or a sensor, asks."""

    def open(self) -> Workspace:
        """The workspace of this process; ConfigurationError or StoreUnavailable where it cannot be opened."""
        return _opened()

    def settings(self) -> Settings:
        """The settings alone, for who needs no store."""
        return load_settings()

    def tell(self, text: str) -> None:
        """Progress is for who runs in process; under the daemon the event log tells it."""


@dataclass(frozen=True)
class LentWorkspace:
    """A workspace that somebody in this process has open already, and who wants to hear of progress."""

    workspace: Workspace
    on_event: "OnEvent | None" = None

    def open(self) -> Workspace:
        """The lent workspace."""
        return self.workspace

    def settings(self) -> Settings:
        """Its settings."""
        return self.workspace.settings

    def tell(self, text: str) -> None:
        """One line of progress."""
        if self.on_event is not None:
            self.on_event(text)


class OnEvent(Protocol):
    """Hears one line of progress; no person's data is in it."""

    def __call__(self, text: str, /) -> object: ...


@contextmanager
def open_crm(workspace: Workspace) -> Iterator[DataverseClient]:
    """The CRM's client for one step."""
    client = dataverse_client(workspace.settings, workspace.policy)
    try:
        yield client
    finally:
        client.close()


@cache
def _opened() -> Workspace:
    return open_workspace(load_settings())
