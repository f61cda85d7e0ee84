"""The door to Microsoft Dataverse over its Web API.

contract (what callers see) - client - sender (throttling, tokens, repeated reads) - wire (one request);
beside them the protocol without I/O: odata, batch, classify, bulk, row_batch, validation.
"""

from connectors.dataverse.client import DataverseClient
from connectors.dataverse.contract import (
    NOT_EXECUTED,
    ChangePage,
    ChangeTokenExpired,
    Outcome,
    Row,
    RowResult,
    TableDefinition,
    TableName,
    WhoAmI,
)
from connectors.dataverse.settings import ClientCertificate, ClientSecret, DataverseSettings
from connectors.dataverse.throttle import ThrottleGate
from connectors.dataverse.tokens import Tokens, TokenSource
from connectors.dataverse.validation import RowFault, validate_rows

__all__ = [
    "NOT_EXECUTED",
    "ChangePage",
    "ChangeTokenExpired",
    "ClientCertificate",
    "ClientSecret",
    "DataverseClient",
    "DataverseSettings",
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
    "validate_rows",
]
