"""A store belongs to one organisation of the CRM: in another one every row that it knows would look deleted.

The environment's address may change, and the CRM's own id of the organisation then stays. It is kept when the CRM is first
read, and compared before anything is read or looked up there.
https://learn.microsoft.com/power-apps/developer/data-platform/webapi/reference/whoami
"""

from typing import Protocol
from uuid import UUID

from connectors.dataverse import WhoAmI
from connectors.store import crm_rows
from pipelines.operations.sessions import Session
from schemas.errors import CrmMisconfigured, CrmUnavailable


class NamedCrm(Protocol):
    """What is asked of the CRM's client."""

    def who_am_i(self) -> WhoAmI: ...


def require_own_organisation(session: Session, crm: NamedCrm) -> None:
    """Raise CrmMisconfigured where the CRM is another organisation than the store's; the first one asked becomes it."""
    asked = _organisation_of(crm)
    with session.transaction() as conn:
        own = crm_rows.own_organisation(conn, asked)
    if own != asked:
        raise CrmMisconfigured(
            f"WhoAmI: INTAKE_DATAVERSE_URL is another environment (organisation {asked}) than the one that this store"
            f" belongs to (organisation {own}). Nothing was read or written there. Remedy: set INTAKE_DATAVERSE_URL to the"
            " store's own environment, or DATABASE_URL to the store of this one."
        )


def _organisation_of(crm: NamedCrm) -> UUID:
    try:
        return UUID(crm.who_am_i().organization_id)
    except ValueError:
        raise CrmUnavailable(
            "WhoAmI: the answer names no organisation. Remedy: check the network, then run again."
        ) from None
