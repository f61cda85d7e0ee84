"""The CRM's client for as long as a command asks the CRM: its connections are let go of when the command ends."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from connectors.dataverse import DataverseClient
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace, dataverse_client


@contextmanager
def client_for(workspace: Workspace) -> Iterator[DataverseClient]:
    """The CRM's client. ConfigurationError where no CRM is set up."""
    with closing(dataverse_client(workspace.settings, workspace.policy)) as client:
        yield client


@contextmanager
def client_or_none(session: Session) -> Iterator[DataverseClient | None]:
    """The CRM's client; None where no CRM is set up."""
    if not session.workspace.settings.dataverse_url:
        yield None
        return
    with client_for(session.workspace) as client:
        yield client
