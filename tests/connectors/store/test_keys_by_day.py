"""An event's key and an address's id begin with a day, so that a day's lie together; keys without one are known too."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from connectors.store.address import ServerAddress
from connectors.store.ledger_copies import known_keys
from tests.merging import NOON, acting, make_decision, make_row, merge_rows
from tests.outboxing import query

pytestmark = pytest.mark.usefixtures("engines")


def test_an_event_that_is_known_by_a_key_without_its_day_is_not_made_again(store: ServerAddress, email: str) -> None:
    row = make_row(f"{email}|twice", make_decision("grant"), address=email)
    merge_rows(store, [row])
    with acting(store, None) as conn:
        conn.execute(text("set local session_replication_role = replica"))
        for table in ("consent_evidence", "consent_event"):
            conn.execute(
                text(
                    f"update intake.{table} t set event_key = substring(t.event_key from 5) from intake.consent_event e"
                    " join intake.contact_point c using (contact_point_id)"
                    " where t.event_key = e.event_key and c.address_key = :email"
                ),
                {"email": email},
            )
    merge_rows(store, [{**row, "content_hash": "told anew"}, {**row, "submission_id": "another", "row_no": 2}])
    known = query(
        store,
        "select octet_length(e.event_key) as size from intake.consent_event e join intake.contact_point c"
        " using (contact_point_id) where c.address_key = :email order by 1",
        email=email,
    )
    assert [row.size for row in known] == [32, 36]


def test_a_copy_from_before_a_day_stood_in_the_keys_is_known(store: ServerAddress, email: str) -> None:
    merge_rows(store, [make_row(f"{email}|copied", make_decision("grant"), address=email)])
    known = query(
        store,
        "select e.event_key, e.occurred_at from intake.consent_event e join intake.contact_point c"
        " using (contact_point_id) where c.address_key = :email",
        email=email,
    )
    bare, at = bytes(known[0].event_key)[4:].hex(), known[0].occurred_at
    with acting(store) as conn:
        assert known_keys(conn, [bare, "00"], [at.isoformat(), None]) == {bare}
        assert known_keys(conn, [bare], [(at + timedelta(days=1)).isoformat()]) == set()


def test_what_comes_of_one_day_lies_together_in_the_indexes(store: ServerAddress) -> None:
    emails = [f"day{number}@example.org" for number in range(6)]
    days = {email: NOON + timedelta(days=number // 3) for number, email in enumerate(emails)}
    for email, at in days.items():
        decision = make_decision("grant", occurred_at=at, effective_at=at)
        merge_rows(store, [make_row(f"{email}|day", decision, address=email, submitted_from=at, version_at=at)])
    found = {
        row.address_key: (row.point, row.key)
        for row in query(
            store,
            "select c.address_key, substring(uuid_send(c.contact_point_id) from 1 for 4) as point,"
            " substring(e.event_key from 1 for 4) as key"
            " from intake.contact_point c join intake.consent_event e using (contact_point_id)"
            " where c.address_key = any(:emails)",
            emails=emails,
        )
    }
    assert len({found[email] for email in emails[:3]}) == len({found[email] for email in emails[3:]}) == 1
    assert len({found[email] for email in emails}) == len({key for _, key in found.values()}) == 2
    assert int.from_bytes(found[emails[0]][1]) == int(NOON.timestamp()) // 86_400
