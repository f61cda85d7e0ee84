"""Proposals: a file of pairs of people who may be one human being, for somebody to judge. Nothing else comes of it.

Nobody is merged and nothing is written but the reading: not who is who, no event, no plan. What of people is compared is
what their living purposes use; a phone only where one of them uses phones. No consent is read, of either.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from connectors.new_files import new_file
from connectors.store.known_people import read_people
from pipelines.operations.sessions import Session
from pipelines.transforms.proposals import propose_links
from pipelines.transforms.sheets import Row, csv_table, xlsx_table
from schemas.errors import ConfigurationError
from schemas.policy import Policy
from schemas.purposes import PersonalData

_OF_ONE = ("address", "given_name", "family_name", "phone", "person_id")
_COLUMNS = (
    *("weight", "probability", "agrees", "differs"),
    *(f"{column.replace('_', ' ')} {which}" for which in (1, 2) for column in _OF_ONE),
)


@dataclass(frozen=True)
class Proposed:
    """How many people were compared, and how many pairs were proposed."""

    people: int
    pairs: int


def propose(session: Session, path: Path, *, above: float) -> Proposed:
    """Write the pairs with a match probability of at least `above` to a new .xlsx or .csv that its owner alone can read.

    The reading of whoever stands in it is noted first. ConfigurationError where there is such a file, or no Splink.
    """
    if path.suffix not in (".xlsx", ".csv"):
        raise ConfigurationError("Name a file that ends with .xlsx or .csv.")
    with new_file(path) as file:
        people = _people(session)
        pairs = propose_links(people, above=above)
        shown = pd.unique(people["contact_point_id"].iloc[[*pairs["first"], *pairs["second"]]])
        rows = list(_rows(people, pairs))
        content = (
            xlsx_table(_COLUMNS, rows, title="May be one") if path.suffix == ".xlsx" else csv_table(_COLUMNS, rows)
        )
        with session.transaction() as conn:
            session.note_read(conn, list(shown))
        file.write(content)
    return Proposed(len(people), len(pairs))


def _people(session: Session) -> pd.DataFrame:
    policy = session.workspace.policy
    named = _using(policy, PersonalData.NAME, PersonalData.EMAIL)
    phoned = _using(policy, PersonalData.NAME, PersonalData.EMAIL, PersonalData.PHONE)
    with session.transaction() as conn:
        return read_people(conn, purposes=named, with_phone=phoned, now=session.now)


def _using(policy: Policy, *kinds: PersonalData) -> list[str]:
    return [name for name, purpose in policy.purposes.items() if set(kinds) <= set(purpose.personal_data)]


def _rows(people: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[Row]:
    one, other = (people[list(_OF_ONE)].iloc[pairs[which]].to_numpy(dtype=object) for which in ("first", "second"))
    told = zip(*(pairs[column] for column in ("weight", "probability", "agrees", "differs")), strict=True)
    for (weight, probability, agrees, differs), *who in zip(told, one, other, strict=True):
        texts = (None if value is None else str(value) for values in who for value in values)
        yield (f"{weight:.1f}", f"{probability:.4f}", agrees, differs, *texts)
