"""The record of processing (GDPR Art. 30(1)), made from what the software does: policy, mappings, tables, roles.

Nothing of it but the measures is written by hand, so that it says what is done. It reads no row of the store.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any

import connectors.finance
import connectors.store
from connectors.store.metadata import METADATA
from connectors.store.roles import ROLES
from pipelines.operations.retention import rules_of
from schemas.finance import FinancePolicy
from schemas.mappings import Mapping as Feed
from schemas.policy import Policy
from schemas.purposes import COUNTS_FROM, STORES, PurposePolicy

SECURITY = (
    "What was received is encrypted under a key of its batch; keys are kept outside the database and its dumps.",
    "The ledger of consents is append-only by privilege, and chained by hashes under a signed head.",
    "Each person has a login of their own, with one role; a removed login's sessions end at once.",
    "Every showing of a person by a command is written down with the login's own name, by ids.",
    "Finance has a schema and a role of its own; no code, query or grant leads there from the CRM.",
    "Statistics are of ten people a cell or more, with complementary suppression, published once.",
    "No personal data is in logs, errors, metadata or addresses of pages.",
)


# What is written down about the work itself, by rule of retention.
_ALSO_KEPT = {
    "disclosed_references": "the disclosure; until the recipient was told of an erasure",
    "answered_requests": "the answer",
    "ended_holds": "the end of the hold",
    "ended_accesses": "the end of the access",
    "log_of_readings": "the reading",
}


def make_register(policy: Policy, feeds: Iterable[Feed]) -> dict[str, Any]:
    """The record as data, in the order of the article: (a) controller, (b) purposes, (c) data, (d) recipients, (e) third
    countries, (f) times, (g) measures."""
    listed = list(feeds)
    return {
        "controller": policy.organisation.model_dump(mode="json", exclude={"timezone", "default_country", "languages"}),
        "policy_version": policy.version,
        "purposes": [_purpose(name, purpose, listed) for name, purpose in policy.purposes.items()],
        "sources": [_source(feed) for feed in listed],
        "recipients": [{"id": name, **one.model_dump(mode="json")} for name, one in policy.recipients.items()],
        "third_countries": sorted({one.country for one in policy.recipients.values()} - _EEA),
        "retention": [*_retention(policy), *_finance(policy.finance)],
        "tables": _tables(),
        "roles": [{"role": role, "database_role": name} for role, name in ROLES.items()],
        "measures": list(SECURITY),
    }


_EEA = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "HR",
        "CY",
        "CZ",
        "DK",
        "EE",
        "FI",
        "FR",
        "DE",
        "GR",
        "HU",
        "IE",
        "IS",
        "IT",
        "LI",
        "LV",
        "LT",
        "LU",
        "MT",
        "NL",
        "NO",
        "PL",
        "PT",
        "RO",
        "SK",
        "SI",
        "ES",
        "SE",
    ]
)


def as_markdown(register: Mapping[str, Any]) -> str:
    """The record for people."""
    parts = [
        "# Record of processing activities (GDPR Art. 30)",
        "Made by `crm-intake privacy register` from the configuration and the code; not to be edited.",
        "## Controller",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in register["controller"].items() if value),
    ]
    sections = ("purposes", "sources", "recipients", "retention", "roles")
    for name in sections:
        parts += [f"## {name.capitalize()}", _table(register[name])]
    countries = ", ".join(register["third_countries"]) or "none: all recipients are in the European Economic Area"
    parts += ["## Transfers to third countries", countries]
    parts += ["## Technical and organisational measures", *(f"- {measure}" for measure in register["measures"])]
    parts += ["## Tables", _table(register["tables"])]
    return "\n\n".join(_joined(parts)) + "\n"


def _joined(parts: list[str]) -> list[str]:
    """Items of one list stand together."""
    joined: list[str] = []
    for part in parts:
        if part.startswith("- ") and joined and joined[-1].startswith("- "):
            joined[-1] += f"\n{part}"
        else:
            joined.append(part)
    return joined


def _purpose(name: str, purpose: PurposePolicy, feeds: list[Feed]) -> dict[str, Any]:
    return {
        "purpose": name,
        "description": purpose.description,
        "basis": str(purpose.basis),
        "begins": str(purpose.begins),
        "ends": [str(end) for end in purpose.ends],
        "personal_data": [str(kind) for kind in purpose.personal_data],
        "shown_in_the_crm": list(purpose.contact_columns),
        "recipients": list(purpose.recipients),
        "disclosed": list(purpose.discloses),
        "asked_by": sorted({feed.feed for feed in feeds for consent in feed.consents if consent.purpose == name}),
        "plan_class": purpose.class_id,
    }


def _source(feed: Feed) -> dict[str, Any]:
    taken = sorted(name for name, ref in feed.fields.model_dump().items() if ref)
    return {
        "source": str(feed.source),
        "feed": feed.feed,
        "title": feed.title,
        "owner": feed.owner,
        "data_subjects": str(feed.kind),
        "taken": taken,
        "answers_kept": len(feed.answers),
        "finance": sorted(str(role) for role in feed.finance.parties()) if feed.finance else [],
        "columns_dropped": len(feed.ignored),
    }


def _retention(policy: Policy) -> list[dict[str, Any]]:
    lived = [
        {"what": name, "kept": f"{purpose.lives_after_days} days", "from": COUNTS_FROM.get(purpose.begins, "its begin")}
        for name, purpose in policy.purposes.items()
        if purpose.lives_after_days is not None
    ]
    kept = policy.retention.model_dump()
    days = {str(one["rule"]): one["days"] for one in rules_of(policy)}
    beside = [(name, kept[f"{name}_days"], since) for name, since in STORES.items()]
    beside += [(rule, days[rule], since) for rule, since in _ALSO_KEPT.items()]
    return lived + [
        {"what": name.replace("_", " "), "kept": f"{days} days", "from": since} for name, days, since in beside
    ]


def _finance(policy: FinancePolicy) -> list[dict[str, Any]]:
    return [
        {
            "what": "finance: vouchers",
            "kept": f"{policy.voucher_years} years",
            "from": "the end of the calendar year in which the fiscal year ended",
        },
        {"what": "finance: books", "kept": f"{policy.book_years} years", "from": "the end of the fiscal year"},
    ]


def _tables() -> list[dict[str, Any]]:
    for package in (connectors.store, connectors.finance):
        for module in pkgutil.iter_modules(package.__path__):
            if not module.ispkg:
                importlib.import_module(f"{package.__name__}.{module.name}")
    return [
        {"table": table.fullname, "columns": [column.name for column in table.columns]}
        for table in sorted(METADATA.tables.values(), key=lambda table: table.fullname)
    ]


def _table(rows: list[dict[str, Any]]) -> str:
    columns = list(rows[0]) if rows else []
    lines = [f"| {' | '.join(name.replace('_', ' ') for name in columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(row[name]) for name in columns)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return text.replace("|", "\\|") or "–"
