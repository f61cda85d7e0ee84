"""Reading the CRM beside a narrow synchronisation: what that is writing meanwhile was done by nobody in the CRM."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.operations.adoption import look_up
from pipelines.operations.readback import read_back
from tests.invariants.acts import T0, Who, answer, sign_up
from tests.invariants.crm_hands import assert_settled, contact_of, edit_contact, events_at, is_opted_in, set_crm_clock
from tests.invariants.world import CONSENTS, World

AINO = Who("aino@example.org", "aino")
CONTACT_IS_MADE = "table_name = 'contact' and phase = 1"


def unanswered(world: World, which: str, table: str) -> None:
    """As it is between the CRM's doing of some writes and our knowing of it: claimed, and nothing known of the rows."""
    with world.owner.begin() as conn:
        conn.exec_driver_sql(
            f"update intake.outbox_intent set state = 'claimed', finished_at = null, writing = 'narrow:x' where {which}"
        )
        conn.exec_driver_sql(f"delete from intake.crm_row where table_name = '{table}'")


@pytest.fixture
def signed_up(world: World) -> World:
    """Somebody signed up, and the CRM has it; the CRM's clock shows that very time."""
    world.perform([sign_up(1, AINO, T0)])
    set_crm_clock(world, T0)
    world.run()
    assert is_opted_in(world, AINO.key)
    return world


def test_a_contact_that_is_being_made_shut_is_no_withdrawal_by_staff(signed_up: World) -> None:
    edit_contact(signed_up, AINO.key, donotbulkemail=True)
    unanswered(signed_up, CONTACT_IS_MADE, "contact")
    links = dict(signed_up.query("select table_name, delta_link from intake.crm_cursor"))
    read_back(signed_up.session(), signed_up.crm)
    assert events_at(signed_up, AINO.key) == []
    assert signed_up.query("select row_id from intake.crm_row where table_name = 'contact'") == []
    after = dict(signed_up.query("select table_name, delta_link from intake.crm_cursor"))
    assert after["contact"] == links["contact"], "what was passed over is read again"
    assert after["msdynmkt_contactpointconsent4"] != links["msdynmkt_contactpointconsent4"]


def test_a_value_from_before_our_own_write_is_no_edit(signed_up: World) -> None:
    """The page was made before the flag was raised, and is looked at after."""

    class Stale:
        def __init__(self, crm: Any) -> None:
            self._crm = crm

        def __getattr__(self, name: str) -> Any:
            return getattr(self._crm, name)

        def iter_changes(self, table: Any, *arguments: Any) -> Iterator[Any]:
            for page in self._crm.iter_changes(table, *arguments):
                for row in page.rows if table.logical_name == "contact" else ():
                    row["donotbulkemail"] = True
                with signed_up.owner.begin() as conn:
                    conn.exec_driver_sql("update intake.crm_row set acked_at = clock_timestamp()")
                yield page

    edit_contact(signed_up, AINO.key, jobtitle="Dean")
    read_back(signed_up.session(), Stale(signed_up.crm))  # type: ignore[arg-type]
    assert events_at(signed_up, AINO.key) == []
    assert contact_of(signed_up, AINO.key)["donotbulkemail"] is False
    assert_settled(signed_up)


def test_what_staff_did_to_a_row_that_was_passed_over_is_read(signed_up: World) -> None:
    edit_contact(signed_up, AINO.key, donotbulkemail=True)
    with signed_up.owner.begin() as conn:
        conn.exec_driver_sql("update intake.crm_row set acked_at = clock_timestamp() + interval '1 second'")
    read_back(signed_up.session(), signed_up.crm)
    with signed_up.owner.begin() as conn:
        conn.exec_driver_sql("update intake.crm_row set acked_at = clock_timestamp() - interval '1 day'")
    signed_up.run()
    assert events_at(signed_up, AINO.key) == [("marketing", "", "withdraw", "staff")]
    assert not is_opted_in(signed_up, AINO.key)


def test_a_consent_row_that_is_being_written_is_adopted_from_nobody(signed_up: World) -> None:
    signed_up.perform([answer(2, AINO, T0, rdi="Yes", training="Yes")])
    signed_up.run()
    unanswered(signed_up, f"table_name = '{CONSENTS[:-1]}' and method = 'upsert'", CONSENTS[:-1])
    with signed_up.owner.begin() as conn:
        conn.exec_driver_sql("update intake.contact_point set version = version + 1")
    session = signed_up.session()
    look_up(session, signed_up.crm)
    assert events_at(signed_up, AINO.key) == []
    assert signed_up.query("select row_id from intake.crm_row where not is_ours") == []
