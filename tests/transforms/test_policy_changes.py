"""Changes of the policy: what widens is told from what narrows and from what only rewords."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.mappings import load_policy
from pipelines.transforms.policy_changes import compare_policies, policy_body, policy_hash
from schemas.policy import Policy

CONFIG = Path(__file__).parents[2] / "config"
POLICY = load_policy(CONFIG)

# Place, from, to, whether it widens; the other way round it must not, except where any change is another ground.
CHANGES: list[tuple[str, Any, Any, bool]] = [
    ("purposes.marketing.contact_columns", None, ["firstname", "lastname", "emailaddress1", "mobilephone"], True),
    ("purposes.networking.discloses", None, ["given_name", "family_name", "organisation", "email"], True),
    ("purposes.course_delivery.lives_after_days", None, 900, True),
    ("purposes.enquiry.lives_after_days", None, 90, False),
    ("purposes.statistics.smallest_cell", None, 5, True),
    ("purposes.statistics.smallest_cell", None, 20, False),
    ("purposes.related_events.begins", None, "registration_with_notice", True),
    ("purposes.related_events.begins", None, "never", False),
    ("purposes.marketing.ends", None, ["withdrawal"], True),
    ("purposes.marketing.description", None, "Other words.", False),
    ("retention.landing_days", None, 30, True),
    ("retention.quarantine_days", None, 30, False),
    ("clock_skew_s", None, 60, True),
    ("clock_skew_s", None, 600, False),
    ("marketing_age", None, 16, False),
]


def changed(where: str, after: Any) -> Policy:
    written = yaml.safe_load((CONFIG / "intake.yaml").read_text("utf-8"))
    part = written
    *parents, name = where.split(".")
    for parent in parents:
        part = part.setdefault(parent, {})
    part[name] = after
    return Policy.model_validate(written)


@pytest.mark.parametrize(("where", "_before", "after", "widens"), CHANGES)
def test_a_change_is_told_by_its_place_and_whether_it_widens(
    where: str, _before: Any, after: Any, widens: bool
) -> None:
    other = changed(where, after)
    (change,) = compare_policies(policy_body(POLICY), policy_body(other))
    assert (change.where, change.widens) == (where, widens)
    assert policy_hash(other) != policy_hash(POLICY)
    (back,) = compare_policies(policy_body(other), policy_body(POLICY))
    is_about_words = where.endswith("description")
    assert back.widens is (not widens and not is_about_words) or where.endswith("begins")


def test_a_purpose_that_is_new_widens_and_one_that_goes_does_not() -> None:
    fewer = POLICY.model_copy(update={"purposes": {n: p for n, p in POLICY.purposes.items() if n != "networking"}})
    assert [c.widens for c in compare_policies(policy_body(fewer), policy_body(POLICY))] == [True]
    assert [c.widens for c in compare_policies(policy_body(POLICY), policy_body(fewer))] == [False]


def test_how_the_crm_is_written_is_no_version_of_the_policy() -> None:
    other = POLICY.model_copy(update={"crm": POLICY.crm.model_copy(update={"writers": 9, "chunk_rows": 5})})
    assert policy_hash(other) == policy_hash(POLICY)
    assert compare_policies(policy_body(POLICY), policy_body(POLICY)) == []
