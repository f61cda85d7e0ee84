"""What an emulator is started with: application users, limits, tokens, language; read from and written to JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

TENANT_ID = "5a4d0000-0000-4000-8000-0000000000d1"
CLIENT_ID = "5a4d0000-0000-4000-8000-0000000000c1"


@dataclass(frozen=True)
class ClientOptions:
    """One application user. Without a secret only a certificate signs it in; one that is no member gets 403.

    `privileges` are the names that its role has (`prvReadContact`, at organisation level); None is an administrator's.
    """

    client_id: str
    secret: str | None = None
    certificate_pem: str | None = None
    is_member: bool = True
    privileges: tuple[str, ...] | None = None


@dataclass(frozen=True)
class EmulatorOptions:
    """Settings of one environment. A limit of None is off; times are seconds of the emulated clock, latency is real.

    More than `max_bulk_rows` targets time out (0x80044151), a body above `max_body_bytes` is 413. A bulk message that takes
    longer than `max_message_ms`, at `latency_ms_per_row`, is rolled back and given up with `message_timeout_status`.
    `key_delay_s`, `metadata_delay_s` and `job_delay_s` are how long an index, a new column or table, and a system job
    take. `missing_columns` (`table.column`) are those that the environment is yet to be given; `elastic_tables`,
    `untracked_tables`, `unversioned_tables` (no optimistic concurrency) and `single_row_tables` (no bulk messages) name
    tables that differ from the usual. `messages` replaces the text of errors by code, as another language would;
    `restricted_key_status` (400 or 404) and `duplicate_rule_status` (500 or 412) choose between what was reported.
    """

    clients: tuple[ClientOptions, ...] = ()
    tenant_id: str = TENANT_ID
    token_lifetime_s: int = 3600
    language_code: int = 1033
    collation: str = "CI_AI"
    change_tracking_days: int = 7
    strict_headers: bool = True
    max_requests: int | None = None
    max_execution_ms: int | None = None
    max_concurrent: int | None = None
    window_s: int = 300
    servers: int = 1
    dop_hint: int = 5
    latency_ms_per_request: float = 0.0
    latency_ms_per_row: float = 0.0
    log_to_file: bool = False
    max_bulk_rows: int | None = None
    max_body_bytes: int | None = None
    max_message_ms: float | None = None
    message_timeout_status: int = 504
    key_delay_s: float = 0.0
    metadata_delay_s: float = 0.0
    job_delay_s: float = 0.0
    restricted_key_status: int = 400
    duplicate_rule_status: int = 500
    sql_reads: bool = True
    messages: dict[str, str] = field(default_factory=dict)
    missing_columns: tuple[str, ...] = ()
    elastic_tables: tuple[str, ...] = ()
    untracked_tables: tuple[str, ...] = ()
    unversioned_tables: tuple[str, ...] = ()
    single_row_tables: tuple[str, ...] = ()
    seed_rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> EmulatorOptions:
        clients = tuple(_client(client) for client in value.get("clients", ()))
        return cls(**{**value, "clients": clients})


def _client(value: dict[str, Any]) -> ClientOptions:
    named = value.get("privileges")
    return ClientOptions(**{**value, "privileges": None if named is None else tuple(named)})
