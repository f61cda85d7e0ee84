"""Links that are no good: the same bytes by one path and one query, at the same speed, and nobody can be found by them."""

import random
import statistics
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from secrets import token_bytes
from uuid import uuid4

import pytest
import sqlalchemy as sa
from starlette.requests import Request

from connectors.store.naming import name_addresses, name_contact_points
from pipelines.transforms.preference_links import Expiry, LinkKey, Scope, sign_token
from preferences.answers import client_of
from preferences.door import Limits
from preferences.languages import texts_of
from preferences.limits import Limiter
from preferences.mailing import Mailer
from schemas.errors import StoreError
from tests.invariants.acts import Who
from tests.preferences.people import AINO, House, subscribed
from tests.sizes import sized

MAIJA = Who("maija@example.org", "maija")


def bad_links(house: House) -> dict[str, str]:
    """The path of a link of each kind that is to be refused."""
    point, key = house.id_of(AINO.address), house.door.keys.current()
    good = house.token()
    later = Expiry(house.world.now + timedelta(hours=1), token_bytes(12))
    earlier = Expiry(house.world.now - timedelta(seconds=1), token_bytes(12))
    tokens = {
        "forged": good[:-6] + ("AAAAAA" if good[-6:] != "AAAAAA" else "BBBBBB"),
        "truncated": good[:-1],
        "of another purpose": sign_token(Scope.PROVE, point, key, expiry=later),
        "of another key": sign_token(Scope.WITHDRAW, point, LinkKey("link-0009-ffffffff", b"x" * 32)),
        "of nobody": sign_token(Scope.WITHDRAW, uuid4(), key),
        "no token": "hello",
    }
    links = {kind: f"/p/{token}" for kind, token in tokens.items()}
    return {**links, "expired grant": f"/enter/{sign_token(Scope.PROVE, point, key, expiry=earlier)}"}


def test_all_are_refused_alike(house: House) -> None:
    house.reset(*subscribed(AINO))
    links = bad_links(house)
    answers = {kind: house.get(f"{path}?lang=en") for kind, path in links.items()}
    answers["posted"] = house.post(f"{links['forged']}/leave?lang=en")
    one_click = links["of nobody"].replace("/p/", "/one-click/")
    answers["one click"] = house.post(f"{one_click}?lang=en", data="List-Unsubscribe=One-Click")
    answers["no session"] = house.get("/own?lang=en")
    assert {answer.status_code for answer in answers.values()} == {404}
    assert len({answer.content for answer in answers.values()}) == 1
    heads = [{k: v for k, v in answer.headers.items() if k.lower() != "date"} for answer in answers.values()]
    assert all(head == heads[0] for head in heads)
    assert house.events() == []


def test_medians_of_interleaved_refusals_differ_by_less_than_a_millisecond(
    house: House, record_property: Callable[[str, object], None]
) -> None:
    house.reset(*subscribed(AINO))
    links, order = list(bad_links(house).items()), random.Random(6)
    times: dict[str, list[float]] = {kind: [] for kind, _ in links}
    for _ in range(sized(60, 10_000)):
        # In one order always, a kind would meet the same one of the pool's connections each time.
        for kind, path in order.sample(links, len(links)):
            began = time.perf_counter()
            assert house.get(path).status_code == 404
            times[kind].append(time.perf_counter() - began)
    medians = {kind: statistics.median(seen) for kind, seen in times.items()}
    apart = max(medians.values()) - min(medians.values())
    record_property("medians_ms", {kind: round(1000 * median, 3) for kind, median in medians.items()})
    # At gate size on a machine under load the medians are known no better than their standard error.
    assert apart < 0.001 + sized(4, 0) * max(_standard_error(seen) for seen in times.values()), medians


def _standard_error(seen: list[float]) -> float:
    """Of a median, from the quartiles (those of a normal distribution are 1.349 standard deviations apart)."""
    first, _, third = statistics.quantiles(seen, n=4)
    return float(1.2533 * (third - first) / 1.349 / len(seen) ** 0.5)


def test_refusals_ask_the_store_the_same_questions(house: House) -> None:
    house.reset(*subscribed(AINO))
    asked: list[str] = []
    engine = house.door.workspace.engine

    def note(*told: object) -> None:
        if threading.current_thread().name != "confirmations":
            asked.append(str(told[2]))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        seen = {}
        for kind, path in bad_links(house).items():
            asked.clear()
            assert house.get(path).status_code == 404
            seen[kind] = list(asked)
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    assert all(statements == seen["forged"] and statements for statements in seen.values()), seen


def test_who_guesses_is_stopped_and_who_withdraws_is_not(house: House) -> None:
    house.reset(*subscribed(AINO))
    limits = Limits(refusals_per_minute=5)
    kept = house.door.refusals
    house.door.refusals = Limiter(per_minute=limits.refusals_per_minute, burst=5)
    try:
        found = [house.get(f"/p/guess{number}").status_code for number in range(8)]
        assert found == [404] * 5 + [429] * 3
        assert house.post(f"/p/{house.token()}/leave").status_code == 200
        other = {"X-Forwarded-For": "203.0.113.9"}
        assert house.get("/p/guess", headers=other).status_code == 404, "each client behind the proxy has its own limit"
    finally:
        house.door.refusals = kept


def test_of_ipv6_a_client_is_a_network_of_64_bits() -> None:
    def client(host: str) -> str:
        return client_of(Request({"type": "http", "client": (host, 1)}))

    assert client("2001:db8:1:2::1") == client("2001:db8:1:2:ffff::9") != client("2001:db8:1:3::1")
    assert client("::ffff:192.0.2.1") == client("192.0.2.1") != client("192.0.2.2")


def test_an_address_that_is_none_of_ours_is_a_page_and_no_redirect(house: House) -> None:
    house.reset(*subscribed(AINO))
    headers = {"Host": "elsewhere.example.com"}
    for path in (f"/p/{house.token()}/", "/own/", "/none", "//elsewhere.example.com/own"):
        answer = house.get(f"{path}?lang=en", headers=headers, allow_redirects=False)
        assert answer.status_code == 404 and "This link does not work" in answer.text, path
        assert "elsewhere" not in answer.text + str(answer.headers), path
    wrong_way = house.get(f"/p/{house.token()}/leave?lang=en")
    assert wrong_way.status_code == 405 and wrong_way.headers["Allow"] == "POST" and "<h1>" in wrong_way.text


def test_an_error_of_our_own_is_a_page_and_the_log_has_no_message(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.reset(*subscribed(AINO))
    token, keys = house.token(), house.door.keys

    class Failing:
        def known(self) -> None:
            raise ZeroDivisionError(AINO.address)

    house.door.keys = Failing()  # type: ignore[assignment]
    try:
        answer = house.get(f"/p/{token}?lang=en")
    finally:
        house.door.keys = keys
    assert answer.status_code == 500 and "The fault is ours" in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer" and answer.headers["Cache-Control"] == "no-store"
    assert "ZeroDivisionError" in caplog.text and AINO.address not in caplog.text and token not in caplog.text


def test_no_mail_can_carry_a_header_of_somebody_else(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.reset(*subscribed(AINO))
    injected = "new@example.org\r\nBcc: everybody@example.org"
    house.door.mailer.send(injected, "Subject", "Body")
    house.enter()
    house.post("/ask", data={"address": f"{AINO.address}\r\nBcc: everybody@example.org"})
    house.post("/own/address", data={"form": house.form(), "new_address": injected})
    house.door.mailer.close()
    assert [mail["To"] for mail in house.mail.messages()] == [AINO.address]
    assert "could not be mailed: ValueError" in caplog.text and "everybody" not in caplog.text


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_without_a_mail_server_no_page_says_that_a_link_is_on_its_way(
    house: House, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.reset(*subscribed(AINO))
    house.enter()
    proofs = len(house.world.query("select from intake.mailbox_proof"))
    monkeypatch.setattr(house.door, "mailer", Mailer(None))
    asked = [
        house.post(f"/ask?lang={language}", data={"address": AINO.address}),
        house.post(f"/ask?lang={language}", data={"address": "nobody@example.org"}),
        house.post(f"/p/{house.token()}/manage?lang={language}"),
        house.post(f"/own/address?lang={language}", data={"form": house.form(), "new_address": "new@example.org"}),
    ]
    t, contact = texts_of(language), house.door.workspace.policy.organisation.contact
    house.door.mailer.close()
    assert [answer.status_code for answer in asked] == [503] * 4
    for answer in asked:
        assert t["sent"]["heading"] not in answer.text
        assert t["errors"]["no_mail"].format(contact=contact) in answer.text
    assert asked[0].content == asked[1].content, "whether an address is known, nobody can tell"
    assert len(house.world.query("select from intake.mailbox_proof")) == proofs, "no link that nobody is sent"


def test_the_doors_role_can_do_what_it_needs_and_nothing_else(house: House) -> None:
    house.reset(*subscribed(AINO))
    for statement in (
        "delete from intake.consent_event",
        "update intake.consent_event set value = 'grant'",
        "select ciphertext from intake.landing_payload",
        "select columns from intake.outbox_intent",
        "select columns from intake.crm_row",
        "update intake.contact_point set acked_version = version",
        "delete from intake.person",
        "select * from intake.answer",
        "select address from intake.consent_evidence",
        "create table intake.mine (n int)",
    ):
        with pytest.raises(StoreError) as refused, house.door.transaction() as conn:
            conn.execute(sa.text(statement))
        assert refused.value.sqlstate == "42501", statement


# Tables whose rows bear a name or an address, and how each is kept to those whom a transaction is about.
SECURED = ("contact_point", "mailbox_proof", "person", "person_request", "registration", "subject", "submission")
LISTED = {"pending_grant": "sign-ups that wait: the service mails each its link"}
BEARING = ("address", "address_key", "new_address", "given_name", "family_name", "given_key", "phone", "organisation")


def test_the_doors_role_is_shown_nobody_whom_it_does_not_name(house: House) -> None:
    house.reset(*subscribed(AINO, MAIJA))
    aino, maija = house.id_of(AINO.address), house.id_of(MAIJA.address)
    with house.door.transaction() as conn:
        seen = {table: conn.execute(sa.text(f"select count(*) from intake.{table}")).scalar() for table in SECURED}
        assert seen == dict.fromkeys(SECURED, 0)
        name_contact_points(conn, [aino])
        for table in ("contact_point", "person", "subject", "submission"):
            found = set(conn.execute(sa.text(f"select contact_point_id from intake.{table}")).scalars())
            assert found == {aino}, table
        renamed = conn.execute(
            sa.text("update intake.person set given_name = 'Other' where contact_point_id <> :id"), {"id": aino}
        )
        assert renamed.rowcount == 0
        name_addresses(conn, [MAIJA.key])
        assert set(conn.execute(sa.text("select contact_point_id from intake.contact_point")).scalars()) == {
            aino,
            maija,
        }
        assert conn.execute(sa.text("select count(*) from intake.person")).scalar() == 1
        conn.rollback()
    with pytest.raises(StoreError) as refused, house.door.transaction() as conn:
        name_contact_points(conn, [aino])
        conn.execute(
            sa.text("insert into intake.person_request (contact_point_id, kind) values (:id, 'export')"), {"id": maija}
        )
    assert refused.value.sqlstate == "42501"
    with house.door.transaction() as conn:
        assert conn.execute(sa.text("select count(*) from intake.person")).scalar() == 0, (
            "named for one transaction only"
        )


def test_every_table_with_names_that_the_doors_role_reads_is_kept_to_whom_it_names(house: House) -> None:
    with house.door.transaction() as conn:
        rows = conn.execute(
            sa.text(
                "select distinct c.relname, c.relrowsecurity from pg_class c join pg_attribute a on a.attrelid = c.oid"
                " where c.relnamespace = 'intake'::regnamespace and c.relkind = 'r' and a.attname = any(:bearing)"
                " and has_column_privilege(c.oid, a.attnum, 'select')"
            ),
            {"bearing": list(BEARING)},
        ).all()
    assert {name for name, is_secured in rows if is_secured} == set(SECURED) - {"registration"}
    assert {name for name, is_secured in rows if not is_secured} == set(LISTED)
