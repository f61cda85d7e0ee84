"""The name of a plan is that of the set of its writes."""

from dataclasses import replace
from uuid import UUID

import pytest

from pipelines.transforms.plan_name import PlanName, plan_id
from schemas.intents import Intent, Method, Phase

WRITE = Intent(
    Phase.CONTACTS, Method.UPSERT, "contact", UUID(int=1), {"lastname": "Esimerkki", "firstname": None}, True
)
OTHER = replace(WRITE, row_id=UUID(int=2))


def named(*pieces: list[Intent]) -> str:
    name = PlanName()
    for piece in pieces:
        name.add(piece)
    return str(name)


def test_pieces_in_any_order_have_the_name_of_the_whole() -> None:
    whole = plan_id([WRITE, OTHER])
    assert named([WRITE], [OTHER]) == named([OTHER], [], [WRITE]) == named([OTHER, WRITE]) == whole
    assert len(whole) == 12 and int(whole, 16)


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": Phase.CORRECTIONS},
        {"method": Method.PATCH},
        {"table_name": "lead"},
        {"row_id": UUID(int=3)},
        {"columns": {"lastname": "Esimerkki"}},
        {"columns": {"lastname": "Esimerkki", "firstname": ""}},
    ],
)
def test_another_write_is_another_name(changes: dict[str, object]) -> None:
    assert named([replace(WRITE, **changes)]) != named([WRITE])  # type: ignore[arg-type]


def test_how_often_a_write_is_planned_is_told_and_who_planned_it_is_not() -> None:
    assert named([WRITE, WRITE]) != named([WRITE]) != named([])
    assert named([replace(WRITE, planned_version=7, contact_point_id=UUID(int=9))]) == named([WRITE])


def test_the_order_of_columns_is_no_other_write() -> None:
    turned = replace(WRITE, columns=dict(reversed(WRITE.columns.items())))
    assert named([turned]) == named([WRITE])


def test_a_lowering_is_no_part_of_the_name() -> None:
    assert named([WRITE, replace(OTHER, phase=Phase.LOWERING)]) == named([WRITE])
