"""The door to Microsoft Dataverse over its Web API.

contract (what callers see) - client - lanes (one for each application user) - writing, reading - sender (throttling,
tokens, repeated reads), vouching - wire (one request); beside them the protocol without I/O: odata, batch, classify, bulk,
row_batch, chunks, validation.
"""

from connectors.dataverse.client import DataverseClient
from connectors.dataverse.contract import (
    NOT_EXECUTED,
    ChangePage,
    Outcome,
    Row,
    RowResult,
    TableDefinition,
    TableName,
    WhoAmI,
)
from connectors.dataverse.membership import Membership
from connectors.dataverse.settings import (
    ApplicationUser,
    ClientCertificate,
    ClientSecret,
    Credential,
    DataverseSettings,
    ManagedIdentity,
)
from connectors.dataverse.throttle import ThrottleGate
from connectors.dataverse.tokens import Tokens, TokenSource
from connectors.dataverse.users import load_users
from connectors.dataverse.validation import RowFault, validate_rows
from schemas.errors import ChangeTokenExpired

__all__ = [
    "NOT_EXECUTED",
    "ApplicationUser",
    "ChangePage",
    "ChangeTokenExpired",
    "ClientCertificate",
    "ClientSecret",
    "Credential",
    "DataverseClient",
    "DataverseSettings",
    "ManagedIdentity",
    "Membership",
    "Outcome",
    "Row",
    "RowFault",
    "RowResult",
    "TableDefinition",
    "TableName",
    "ThrottleGate",
    "TokenSource",
    "Tokens",
    "WhoAmI",
    "load_users",
    "validate_rows",
]
