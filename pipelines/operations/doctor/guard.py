"""The guard of a run: the checks that protect people, asked before anything is raised, in a handful of reads.

They are asked anew by every run and not remembered: a purpose is opened, or a flow switched on, between two of them.
What may not be read is no reason to refuse, for nobody knows that it is wrong; `crm doctor` tells of it. A CRM that does
not answer may do so a moment later, so until then nothing is raised.
"""

from collections.abc import Sequence

from pipelines.operations.doctor.reading import RowsOfCrm, read_setup
from pipelines.transforms.diagnosis.catalogue import endangering, refusals
from pipelines.transforms.diagnosis.facts import PROTECTING_SOURCES
from schemas.errors import CrmUnavailable, RaisingRefused
from schemas.policy import Policy

UNANSWERED = "set-up: The CRM did not answer when it was asked how it is set up. Remedy: run again."


def reasons_to_refuse(crm: RowsOfCrm, policy: Policy) -> tuple[str, ...]:
    """A sentence for each check by which nothing may be raised now; none where all is well."""
    try:
        return refusals(endangering(read_setup(crm, PROTECTING_SOURCES), policy))
    except CrmUnavailable:
        return (UNANSWERED,)


def require_safe(reasons: Sequence[str]) -> None:
    """Raise RaisingRefused where there are reasons to refuse."""
    if reasons:
        ids = tuple(reason.partition(":")[0] for reason in reasons)
        found = "\n".join(f"  {reason}" for reason in reasons)
        raise RaisingRefused(
            ids,
            "Nothing was raised, lowerings were sent: the CRM's set-up fails checks that protect people, or the policy was"
            f" changed. Mend it, look again with `crm-intake crm doctor`, then run.\n{found}",
        )
