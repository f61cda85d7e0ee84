"""Watching: what is overdue is an alarm, somebody is told of it once by mail and by webhook, and keys are rotated."""

import hashlib
import hmac
import json
import logging
import os
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from typer.testing import CliRunner

from connectors.store.keys import KEY_NAMES
from connectors.store.landing import get_payload
from pipelines.cli import APP
from pipelines.operations.finance.taking import take_all
from pipelines.operations.rotation import list_keys, make_keys, rotate_key
from pipelines.operations.sessions import Session
from pipelines.operations.status import (
    EXPIRY_WARNING_DAYS,
    INTAKE_DUE,
    QUARANTINE_DUE_DAYS,
    SILENT_DAYS,
    WITHDRAWAL_DUE_S,
    as_prometheus,
    check_status,
)
from pipelines.operations.unread import REACH
from pipelines.operations.watching import (
    DAYS_LEFT,
    DELETION_DUE,
    FINANCE_DUE,
    MAIL_DUE,
    TOKEN_DAYS,
    TOKEN_LEFT,
    breach_of,
    days_left,
    tell_breaches,
)
from sandbox.mailbox import Mailbox
from schemas.errors import ConfigurationError, SourceUnavailable
from schemas.mappings import Mapping
from tests.connectors.http_stub import Answer, stub_server
from tests.finance.conftest import NOW, Bursar, bursar, make_row  # noqa: F401 - a fixture


def watched(bursar: Bursar, now: datetime = NOW, **changes: Any) -> Session:  # noqa: F811
    settings = bursar.workspace.settings.model_copy(update={"fixed_now": now, **changes})
    return Session(replace(bursar.workspace, settings=settings))


@pytest.fixture(scope="module", autouse=True)
def landed(bursar: Bursar) -> None:  # noqa: F811
    bursar.take(make_row(1))


def test_what_is_overdue_is_an_alarm_and_a_number(bursar: Bursar) -> None:  # noqa: F811
    assert not [alarm for alarm in check_status(watched(bursar)).alarms if "deletion" in alarm]
    late = watched(bursar, NOW + timedelta(days=40), dataverse_secret_expires_on=date(2027, 1, 10))
    found = check_status(late)
    text = "\n".join(found.alarms)
    assert "landed batches have been overdue for deletion" in text
    assert "secret has 11 days left" in text
    assert "has been silent" in text
    numbers = as_prometheus(found)
    assert 'crm_intake_overdue_deletions{of="landing"} 1' in numbers
    assert 'crm_intake_days_left{of="secret"} 11.0' in numbers


def test_that_no_intake_ends_well_is_an_alarm_until_one_does(bursar: Bursar) -> None:  # noqa: F811
    def told(now: datetime) -> list[str]:
        return [alarm for alarm in check_status(watched(bursar, now)).alarms if alarm.startswith("No intake has ended")]

    with bursar.owner.begin() as conn:
        conn.execute(sa.text("update intake.run set kind = 'finance' where kind = 'intake'"))
    (never,) = told(NOW)
    assert "well yet" in never and "`nightly`" in never
    with bursar.owner.begin() as conn:
        add = (
            "insert into intake.run (run_id, kind, state, started_at, finished_at)"
            " values (gen_random_uuid(), 'intake', :s, :at, :at)"
        )
        for state, at in (("done", NOW), ("failed", NOW + timedelta(days=2))):
            conn.execute(sa.text(add), {"s": state, "at": at})
    assert told(NOW + timedelta(days=2)) == []
    (late,) = told(NOW + timedelta(days=2, seconds=1))
    assert f"since {NOW:%Y-%m-%d}" in late


def test_that_finance_does_not_take_what_was_landed_is_an_alarm_until_it_does(bursar: Bursar) -> None:  # noqa: F811
    def told(now: datetime, mappings: dict[str, Mapping] | None = None) -> list[str]:
        session = watched(bursar, now)
        session.workspace = replace(session.workspace, mappings=mappings or session.workspace.mappings)
        return [alarm for alarm in check_status(session).alarms if alarm.startswith("Finance has not taken")]

    def by_hand(now: datetime) -> int:
        settings = bursar.workspace.settings
        environment = {
            "DATABASE_URL": bursar.workspace.address.uri_adbc,
            "INTAKE_DATA_DIR": str(settings.data_dir),
            "INTAKE_CONFIG_DIR": str(settings.config_dir),
            "INTAKE_FIXED_NOW": str(now),
            "INTAKE_ENV_FILE": os.devnull,
        }
        return CliRunner().invoke(APP, ["finance", "take"], env=environment).exit_code

    with bursar.owner.begin() as conn:
        conn.execute(sa.text("delete from intake.run where kind = 'finance'"))
    due = NOW + FINANCE_DUE
    late = due + timedelta(seconds=1)
    assert told(due) == []
    (alarm,) = told(late)
    assert f"since {NOW:%Y-%m-%d}" in alarm and "`crm-intake finance take`" in alarm
    feeds = bursar.workspace.mappings
    without = {name: mapping.model_copy(update={"finance": None}) for name, mapping in feeds.items()}
    assert told(late, without) == [], "no feed has a part for finance"

    wrong = bursar.workspace.settings.config_dir / "finance" / "wrong.yaml"
    wrong.write_text("source: nothing")
    try:
        assert by_hand(late) != 0
    finally:
        wrong.unlink()
    unreadable = bursar.workspace.settings.dropped_files_dir() / "talous_unreadable.xlsx"
    unreadable.write_bytes(b"no workbook")
    os.utime(unreadable, (NOW.timestamp(), NOW.timestamp()))
    try:
        assert any(taken.problems for taken in take_all(watched(bursar, late), bursar.office))
    finally:
        unreadable.unlink()
    assert told(late) == [alarm]
    assert by_hand(late) == 0
    assert told(late + FINANCE_DUE) == []
    (again,) = told(late + FINANCE_DUE + timedelta(seconds=1))
    assert f"since {late:%Y-%m-%d}" in again


def test_a_course_without_any_date_is_an_alarm_while_somebody_is_registered(bursar: Bursar) -> None:  # noqa: F811
    def alarms() -> list[str]:
        return [alarm for alarm in check_status(watched(bursar)).alarms if "tell no date" in alarm]

    assert not alarms()
    with bursar.owner.begin() as conn:
        (kept,) = conn.execute(sa.text("select starts_at, ends_at from intake.occasion"))
        conn.execute(sa.text("update intake.occasion set ends_at = null"))
    try:
        assert not alarms(), "it has begun: that is its date"
        with bursar.owner.begin() as conn:
            conn.execute(sa.text("update intake.occasion set starts_at = null"))
        assert len(alarms()) == 1 and alarms()[0].startswith("1 courses or events")
    finally:
        with bursar.owner.begin() as conn:
            conn.execute(
                sa.text("update intake.occasion set starts_at = :s, ends_at = :e"), {"s": kept[0], "e": kept[1]}
            )


def test_a_sign_up_whose_link_was_not_mailed_is_an_alarm_while_it_waits(bursar: Bursar) -> None:  # noqa: F811
    def alarms(now: datetime = NOW + MAIL_DUE + timedelta(seconds=1)) -> list[str]:
        return [alarm for alarm in check_status(watched(bursar, now)).alarms if "sign-ups wait for the mail" in alarm]

    add = (
        "insert into intake.pending_grant (confirmation_id, purpose, topic, source, submission_id, address, wording_hash,"
        " notice_version, channel, occurred_at, precision_s, asked_at, expires_at)"
        " select made.id, 'marketing', topic, 'web_forms', '1', 'aino@example.org', 'h', 'n', 'c', :now, 0, :now, :ends_at"
        " from (select gen_random_uuid() as id) made cross join (values ('rdi'), ('events')) t (topic)"
    )
    with bursar.owner.begin() as conn:
        conn.execute(sa.text(add), {"now": NOW, "ends_at": NOW + timedelta(days=7)})
    try:
        assert not alarms(NOW + MAIL_DUE)
        (alarm,) = alarms()
        assert alarm.startswith("1 sign-ups") and "example.org" not in alarm
        assert not alarms(NOW + timedelta(days=7)), "it is over"
        with bursar.owner.begin() as conn:
            conn.execute(sa.text("update intake.pending_grant set mailed_at = :now"), {"now": NOW})
        assert not alarms()
    finally:
        with bursar.owner.begin() as conn:
            conn.execute(sa.text("delete from intake.pending_grant"))


def test_a_login_whose_last_day_has_passed_is_an_alarm(bursar: Bursar) -> None:  # noqa: F811
    with bursar.owner.begin() as conn:
        conn.execute(sa.text("create role once_here login in role intake_operator"))
        conn.execute(
            sa.text(
                "insert into intake.access_grant (user_name, role, granted_by, ends_on)"
                " values ('once_here', 'intake_operator', 'Anna Admin', '2026-11-01')"
            )
        )
    try:
        assert any("access of once_here ended" in alarm for alarm in check_status(watched(bursar)).alarms)
    finally:
        with bursar.owner.begin() as conn:
            conn.execute(sa.text("drop role once_here"))
    assert not any("once_here" in alarm for alarm in check_status(watched(bursar)).alarms)


def test_a_server_whose_own_log_would_hold_people_is_an_alarm(bursar: Bursar) -> None:  # noqa: F811
    def alarms() -> list[str]:
        return [alarm for alarm in check_status(watched(bursar)).alarms if "log_" in alarm]

    def told(change: str) -> None:
        with bursar.owner.begin() as conn:
            conn.execute(sa.text(f'alter database "{bursar.workspace.address.database}" {change}'))

    assert not alarms()
    told("set log_statement = 'all'")
    try:
        (alarm,) = alarms()
        assert "log_statement = all: set it to none" in alarm and "docs/deploy.md" in alarm
    finally:
        told("reset log_statement")
    assert not alarms()


@pytest.mark.parametrize(
    ("alarm", "threshold"),
    [
        ("no intake has ended well", f"{INTAKE_DUE.days} days"),
        ("a source that is not wholly read", f"further back than the nightly run reaches ({REACH.days} days)"),
        ("a withdrawal waits", f"{WITHDRAWAL_DUE_S // 3600} hour"),
        ("a silent feed", f"{SILENT_DAYS} days"),
        ("faults in quarantine", f"{QUARANTINE_DUE_DAYS} days"),
        ("quarantined rows about to leave", f"{EXPIRY_WARNING_DAYS} days"),
        ("finance has not taken all", f"{FINANCE_DUE.days} days"),
        ("landed batches not deleted", f"{DELETION_DUE.days} days"),
        ("sign-ups (double opt-in)", f"{MAIL_DUE // timedelta(hours=1)} hour"),
        ("the CRM's secret", f"{DAYS_LEFT} days"),
        ("the CRM's change token", f"{TOKEN_LEFT} days before, of {TOKEN_DAYS}"),
    ],
)
def test_the_document_has_the_threshold_of_each_alarm(alarm: str, threshold: str) -> None:
    written = (Path(__file__).parents[2] / "docs" / "watch.md").read_text()
    (row,) = [line for line in written.splitlines() if line.startswith(f"| {alarm}")]
    assert row.split("|")[2].strip().startswith(threshold)


def test_a_change_token_that_is_about_to_be_too_old_has_days_left(bursar: Bursar) -> None:  # noqa: F811
    tokens = [{"table_name": "contact", "moved_at": NOW - timedelta(days=6)}]
    assert days_left(bursar.workspace.settings, tokens, NOW) == {"change_token": 1.0}


def test_a_breach_is_told_once_while_it_lasts_and_signed(bursar: Bursar) -> None:  # noqa: F811
    answers = iter([Answer(status=500), *[Answer()] * 5])
    with stub_server(lambda asked: next(answers)) as stub:
        ways = {"alert_webhook_url": f"{stub.url}/alert", "alert_webhook_secret": SecretStr("k")}
        session = watched(bursar, **ways)
        waiting = ["Feed courses: 2 quarantined faults.", "A withdrawal has waited 1.5 hours."]
        with pytest.raises(SourceUnavailable):
            tell_breaches(session, waiting)
        assert tell_breaches(session, waiting) == waiting, "what nobody took is told again"
        assert tell_breaches(session, ["Feed courses: 3 quarantined faults.", waiting[1]]) == []
        assert tell_breaches(session, [waiting[1]]) == []
        assert tell_breaches(session, waiting) == [waiting[0]], "it ended, and came back"
        assert tell_breaches(session, []) == []
    assert len(stub.asked) == 3
    asked = stub.asked[1]
    assert json.loads(asked.body)["alarms"] == waiting
    headers = {name.casefold(): value for name, value in asked.headers.items()}
    assert headers["x-signature-sha256"] == hmac.new(b"k", asked.body.encode(), hashlib.sha256).hexdigest()


def test_a_breach_is_mailed_where_an_address_and_a_server_are_named(bursar: Bursar) -> None:  # noqa: F811
    with Mailbox() as mailbox:
        ways = {"alert_mail_to": "watch@example.org", "smtp_host": "127.0.0.1", "smtp_port": mailbox.port}
        session = watched(bursar, **ways, smtp_security="none")
        assert tell_breaches(session, ["Feed mailed is silent."]) == ["Feed mailed is silent."]
        [mail] = mailbox.wait_for(1, to="watch@example.org")
    assert "Feed mailed is silent." in mail.get_content()


def test_where_nobody_is_named_nothing_is_noted(bursar: Bursar) -> None:  # noqa: F811
    assert tell_breaches(watched(bursar), ["Something."]) == []
    assert bursar.rows("select count(*) from intake.alert where breach = 'Something.'") == [(0,)]


def test_a_breach_is_the_same_whatever_its_numbers() -> None:
    assert breach_of("A withdrawal has waited 1.5 hours.") == breach_of("A withdrawal has waited 12.5 hours.")
    assert breach_of("Feed a has been silent since 2026-11-01.") != breach_of(
        "Feed b has been silent since 2026-11-01."
    )


def test_digits_of_a_name_are_no_numbers() -> None:
    for sentence in ("Feed survey_{} has been silent since 2026-11-01.", "The access of maija{} ended on 2026-11-01."):
        assert breach_of(sentence.format(1)) != breach_of(sentence.format(2))


def test_a_landing_key_is_rotated_and_every_batch_is_under_it(bursar: Bursar) -> None:  # noqa: F811
    session = watched(bursar)
    [(batch_id,)] = bursar.rows("select batch_id from intake.landing_key limit 1")
    with session.transaction() as conn:
        before = get_payload(conn, batch_id, keys=session.workspace.keys)
    done = rotate_key(session, "landing")
    assert done["rewrapped"] >= 1
    with session.transaction() as conn:
        assert get_payload(conn, batch_id, keys=session.workspace.keys) == before
    keys = [key for key in list_keys(session) if key["name"] == "landing"]
    assert [(key["is_current"], key["needed_by"] > 0) for key in keys] == [(False, False), (True, True)]


def test_all_keys_are_made_at_once_and_none_of_them_anew(bursar: Bursar) -> None:  # noqa: F811
    made = make_keys(watched(bursar))
    assert {key["name"] for key in list_keys(watched(bursar)) if key["is_current"]} == set(KEY_NAMES)
    assert make_keys(watched(bursar)) == made


@pytest.mark.parametrize("name", ["guid_salt", "ledger"])
def test_what_would_be_made_a_second_time_never_rotates(bursar: Bursar, name: str) -> None:  # noqa: F811
    with pytest.raises(ConfigurationError, match="never rotates"):
        rotate_key(watched(bursar), name)


def test_no_secret_is_listed(bursar: Bursar, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    caplog.set_level(logging.DEBUG)
    session = watched(bursar)
    secret = session.workspace.keys.current("landing").secret.hex()
    assert secret not in str(list_keys(session))
    assert secret not in caplog.text
