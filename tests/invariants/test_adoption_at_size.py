"""Many contacts before us: adopted, run, reconciled. No opt-out is lost, and only what is ambiguous is in review.

--log-cli-level=INFO shows the figures.
"""

import itertools
import logging
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pipelines.operations.adoption import adopt_all
from pipelines.operations.reconciliation import reconcile
from pipelines.operations.reviews import list_reviews
from pipelines.operations.sessions import Session
from tests.invariants.crowd import IN, Mailbox, consent_rows, contact_rows, make_crowd, sign_ups
from tests.invariants.wire import CONSENTS
from tests.invariants.world import World, take_in
from tests.sizes import sized

SIZE = sized(1000, 20_000)


def seed(world: World, crowd: list[Mailbox]) -> None:
    """The CRM as it was before us."""
    control = world.emulator.control
    control.clock(set="2026-05-04T08:00:00+00:00")
    purpose_id = str(world.workspace.policy.crm.purposes["marketing"].purpose_id)
    for name, rows in (("contacts", contact_rows(crowd)), (CONSENTS, consent_rows(crowd, purpose_id))):
        for some in in_parts(rows):
            control.seed({name: some}, as_user="human")
    control.clock(release=True)


def in_parts(rows: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    remaining = iter(rows)
    return iter(lambda: list(itertools.islice(remaining, 2000)), [])


def assert_no_opt_out_is_lost(world: World, crowd: list[Mailbox]) -> None:
    shut = {mailbox.address for mailbox in crowd if mailbox.must_be_shut}
    contacts, consents = world.rows("contacts"), world.rows(CONSENTS)
    lost = [row for row in contacts if row["emailaddress1"] in shut and not row["donotbulkemail"]]
    lost += [r for r in consents if r["msdynmkt_contactpointvalue"] in shut and r["msdynmkt_value"] == IN]
    assert len(lost) == 0
    assert shut <= {row["msdynmkt_contactpointvalue"] for row in consents}


def assert_untouched(world: World, crowd: list[Mailbox]) -> None:
    """Whoever neither said no nor came to us is as before."""
    strangers = {m.address for m in crowd if not m.is_opted_out and m.signed_up is None}
    held = [row for row in world.rows("contacts") if row["emailaddress1"] in strangers]
    assert held
    assert not any(row["donotbulkemail"] for row in held)
    assert {row["_modifiedby_value"] for row in held} == {"00000000-0000-0000-0000-0000000000e1"}


def test_a_crm_full_of_contacts_is_adopted_without_losing_an_opt_out(world: World) -> None:
    crowd = make_crowd(SIZE, seed=11)
    seed(world, crowd)
    world.perform(sign_ups(crowd))
    took = {}
    session, since = world.session(), time.monotonic()
    take_in(session)
    took["take in"], since = time.monotonic() - since, time.monotonic()
    adopted = adopt_all(session, world.crm)
    took["adopt"], since = time.monotonic() - since, time.monotonic()
    ran = world.run()
    took["run"], since = time.monotonic() - since, time.monotonic()
    outcome = reconcile(Session(world.workspace), world.crm)
    took["reconcile"] = time.monotonic() - since
    doubts = sum(mailbox.doubts for mailbox in crowd)
    figures = {"seconds": took, "adopted": adopted, "writes": ran.sync.plan.counts(), "compared": outcome.compared}
    logging.getLogger(__name__).info("%s contacts: %s", SIZE, figures)

    assert outcome.unexplained == []
    assert_no_opt_out_is_lost(world, crowd)
    assert_untouched(world, crowd)
    assert len(list_reviews(session)) == sum(adopted.in_review.values()) == doubts > 0
    held = Counter(row["emailaddress1"] for row in world.rows("contacts"))
    assert held == Counter({m.address: m.contacts_after for m in crowd if m.contacts_after})
    assert not world.writes(world.run().since)
