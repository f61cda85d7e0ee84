"""From a raw frame to finance's frames: entries, their parties, and what was refused with the words as written.

`ENTRY_COLUMNS`, `PARTY_COLUMNS` and `REFUSAL_COLUMNS` declare them. A refused value stays in finance's own schema, for it is
to be mended there and nothing is lost.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from hashlib import blake2b
from typing import Any

import pandas as pd

from pipelines.transforms.columns import misfit, under_mapped_names
from pipelines.transforms.dates import normalise_timestamps
from pipelines.transforms.finance.keeping import fiscal_year_end, kept_until
from pipelines.transforms.finance.values import normalise_amount, normalise_kind, party_rule
from pipelines.transforms.fingerprints import submission_ids
from pipelines.transforms.text import normalise_text
from pipelines.transforms.values import NormalisedColumn, Value, normalise_column
from schemas.arrangements import PART
from schemas.finance import PARTY_FIELDS, FinanceMap, PartyMap, PartyRole
from schemas.mappings import Mapping
from schemas.policy import Policy

ENTRY_COLUMNS = (
    *("record_id", "kind", "record_class", "reference", "amount", "currency", "payment_method", "payment_status"),
    *("dated_on", "fiscal_year_end", "kept_until", "content_hash"),
)
PARTY_COLUMNS = ("record_id", "role", *PARTY_FIELDS)
REFUSAL_COLUMNS = ("record_id", "role", "field", "column_title", "fault", "written")
_NOT_A_PARTY = ""


@dataclass(frozen=True)
class FinanceBatch:
    """The frames of one batch, all `str` but the three dates of an entry; one entry a record, its last row standing."""

    entries: pd.DataFrame
    parties: pd.DataFrame
    refusals: pd.DataFrame


def read_entries(raw: pd.DataFrame, mapping: Mapping, *, received_at: datetime, policy: Policy) -> FinanceBatch:
    """What a delivery tells finance. Raises the BatchRefused of columns that are not the mapping's.

    A row makes an entry if it names a party by a column of finance's alone, or an amount that is not nothing, be it refused.
    """
    if refusal := misfit(raw, mapping):
        raise refusal
    assert mapping.finance is not None
    wanted = sorted(mapping.read_columns())
    cells = under_mapped_names(raw, mapping).reindex(columns=wanted).astype("str").reset_index(drop=True)
    if mapping.key and PART in cells.columns:
        # A row of several people has one payment.
        cells = cells[~cells.duplicated(list(mapping.key), keep="first")]
    ids = submission_ids(cells[sorted(mapping.mapped_columns())], mapping)
    cells, ids = cells[~ids.duplicated(keep="last")], ids[~ids.duplicated(keep="last")]
    reader = _Reader(cells, ids, mapping, policy)
    parties = {role: reader.party(role, party) for role, party in mapping.finance.parties().items()}
    entries = reader.entries(received_at)
    is_entry = entries["amount"].fillna("0.00").ne("0.00") | reader.is_refused("amount")
    for role, frame in parties.items():
        is_entry |= reader.tells(role)
        parties[role] = frame[reader.tells(role)]
    kept = entries[is_entry]
    return FinanceBatch(kept, _stacked(parties, kept["record_id"]), reader.found(kept["record_id"]))


class _Reader:
    """One delivery being read; faults are noted on the way."""

    def __init__(self, cells: pd.DataFrame, ids: pd.Series, mapping: Mapping, policy: Policy) -> None:
        assert mapping.finance is not None
        self.cells, self.ids, self.mapping, self.policy = cells, ids, mapping, policy
        self.finance: FinanceMap = mapping.finance
        self.refusals: list[pd.DataFrame] = []

    def tells(self, role: PartyRole) -> pd.Series:
        """In which rows a column that is finance's alone says something of the party."""
        party: PartyMap = getattr(self.finance, str(role))
        own = [title for title in party.columns().values() if title not in self.mapping.mapped_columns()]
        own = own or list(party.columns().values())
        return self.cells[own].apply(lambda column: column.str.strip().fillna("") != "").any(axis=1)

    def party(self, role: PartyRole, party: PartyMap) -> pd.DataFrame:
        """The party of each row, fields that are not mapped empty."""
        home = self.policy.organisation.default_country
        read = {
            field: self._read(field, title, party_rule(field, country=home), role=str(role))
            for field, title in party.columns().items()
        }
        frame = pd.DataFrame({"record_id": self.ids, "role": str(role), **read}, index=self.cells.index)
        return frame.reindex(columns=list(PARTY_COLUMNS)).astype("str")

    def entries(self, received_at: datetime) -> pd.DataFrame:
        """The entry of each row."""
        own = self.finance.own_columns()
        rules = {"amount": normalise_amount, "kind_column": partial(normalise_kind, kinds=self.finance.kinds)}
        plain = partial(normalise_text, max_length=200)
        read = {name: self._read(name, title, rules.get(name, plain)) for name, title in own.items()}
        kind = read.pop("kind_column", pd.Series(str(self.finance.kind), index=self.cells.index, dtype="str"))
        frame = pd.DataFrame({"record_id": self.ids, "kind": kind, **read}, index=self.cells.index)
        frame = frame.assign(
            record_class=str(self.finance.record_class), currency=self.finance.currency, content_hash=self._hashes()
        )
        return frame.reindex(columns=list(ENTRY_COLUMNS)).astype("str").assign(**self._days(received_at))

    def is_refused(self, field: str) -> pd.Series:
        """In which rows a value of the entry itself was refused."""
        noted = [frame[frame["role"].eq(_NOT_A_PARTY) & frame["field"].eq(field)] for frame in self.refusals]
        return self.ids.isin([record for frame in noted for record in frame["record_id"]])

    def found(self, record_ids: pd.Series) -> pd.DataFrame:
        """The refusals of the rows that are entries."""
        noted = [frame for frame in self.refusals if not frame.empty]
        found = pd.concat(noted) if noted else pd.DataFrame(columns=list(REFUSAL_COLUMNS))
        return found[found["record_id"].isin(record_ids)].reset_index(drop=True).astype("str")

    def _read(self, field: str, title: str, rule: Any, role: str = _NOT_A_PARTY) -> pd.Series:
        column = self.cells[title]
        read: NormalisedColumn = normalise_column(column, _lenient(rule))
        faults = read.faults.dropna()
        noted = {"record_id": self.ids.loc[faults.index], "role": role, "field": field.replace("_column", "")}
        more = {"column_title": title, "fault": faults, "written": column.loc[faults.index]}
        self.refusals.append(pd.DataFrame({**noted, **more}, columns=list(REFUSAL_COLUMNS)))
        return read.values

    def _hashes(self) -> pd.Series:
        """By what each row says and by what it is read: under a corrected mapping the same cells say something else."""
        dated = self.mapping.submitted_at
        named = self.mapping.finance_columns() | ({dated.column} if dated.column else set())
        read_by = f"{self.finance.model_dump_json()}\x1d{dated.model_dump_json()}\x1d"
        rows = self.cells[sorted(named)].fillna("\x1e").agg("\x1f".join, axis=1)
        return rows.map(lambda text: blake2b(f"{read_by}{text}".encode(), digest_size=16).hexdigest()).astype("str")

    def _days(self, received_at: datetime) -> dict[str, list[date]]:
        """The day of each entry, its fiscal year's last, and the last that it is kept."""
        ref, zone = self.mapping.submitted_at, self.policy.organisation.timezone
        texts = self.cells[ref.column] if ref.column else pd.Series(ref.constant, index=self.cells.index, dtype="str")
        formats = tuple(str(each) for each in ref.formats)
        read = normalise_timestamps(texts, formats=formats, timezone=ref.timezone)["occurred_from"]
        days = [at.date() for at in read.fillna(pd.Timestamp(received_at)).dt.tz_convert(zone)]
        ends = [fiscal_year_end(day, self.policy.finance) for day in days]
        kept = [kept_until(end, self.finance.record_class, self.policy.finance) for end in ends]
        return {"dated_on": days, "fiscal_year_end": ends, "kept_until": kept}


def _lenient(rule: Any) -> Any:
    def judged(text: str) -> Value:
        return rule(text) if text.strip() else Value(None)

    return judged


def _stacked(parties: dict[PartyRole, pd.DataFrame], record_ids: pd.Series) -> pd.DataFrame:
    stacked = pd.concat(list(parties.values()), ignore_index=True)
    return stacked[stacked["record_id"].isin(record_ids)].reset_index(drop=True)
