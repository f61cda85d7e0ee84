"""The whole examination, as `crm doctor` tells it."""

from connectors.store.crm_rows import contacts_of_ours
from pipelines.operations.doctor.reading import (
    Privileges,
    ReadableCrm,
    read_environment,
    read_people,
    read_setup,
)
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import role_of
from pipelines.transforms.diagnosis.catalogue import Facts, diagnose
from pipelines.transforms.diagnosis.findings import Diagnosis


def examine(session: Session, crm: ReadableCrm, administration: Privileges) -> list[Diagnosis]:
    """Every check of the environment, in the catalogue's order; writes nothing, anywhere.

    Reads all contacts and consent rows. Raises CrmUnavailable where the CRM does not answer, CrmMisconfigured where it
    does not let us in, ConfigurationError where config/crm_role.yaml is wrong.
    """
    workspace = session.workspace
    role = role_of(workspace)
    environment = read_environment(crm, administration)
    with session.transaction() as conn:
        acknowledged = contacts_of_ours(conn)
    facts = Facts(read_setup(crm), read_people(crm, acknowledged), environment)
    return diagnose(facts, workspace.policy, role)
