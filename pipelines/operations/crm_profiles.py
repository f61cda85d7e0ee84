"""Compliance profiles: under which one the CRM asks for a purpose, and so by which wording."""

from collections.abc import Iterable
from uuid import UUID

from connectors.dataverse import TableName
from pipelines.operations.crm_reading import ReadableCrm

PURPOSES = TableName("msdynmkt_purposes", "msdynmkt_purpose", "msdynmkt_purposeid")
PROFILE = "_msdynmkt_uionlycomplianceprofilelookup_value"


def fetch_profiles(crm: ReadableCrm, purpose_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The compliance profile of each of these purposes; one without a profile is absent."""
    rows = crm.fetch_rows(PURPOSES, [str(purpose_id) for purpose_id in sorted(purpose_ids)], [PROFILE])
    return {UUID(purpose_id): UUID(str(row[PROFILE])) for purpose_id, row in rows.items() if row.get(PROFILE)}
