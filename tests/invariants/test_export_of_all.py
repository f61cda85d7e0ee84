"""An export leaves nothing out: who looked and for what, legal holds, what sources state, and what was overwritten of an age."""

from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa

from connectors.store.access_log import ReadEntry, append_read
from connectors.store.migrate import PIPELINE_ROLE
from pipelines.operations.erasure import find_person
from pipelines.operations.person_export import gather
from tests.invariants.acts import T0, Who, prohibit, register, sign_up
from tests.invariants.test_children import CHILD, GROWN, LATER, asking, born  # noqa: F401 - a fixture
from tests.invariants.world import World

AINO, MAIJA = Who("aino@example.org", "aino"), Who("aino@example.org", "maija")
KALLE = Who("kalle@example.org", "kalle")


def exported(world: World, given: str) -> dict[str, list[dict[str, object]]]:
    ((person_id,),) = world.query("select person_id from intake.person where given_name = :given", given=given)
    with world.session().transaction() as conn:
        scope = find_person(conn, person=str(person_id))
    told = gather(world.session(), scope, crm=None)
    return told["data"] | {"notes": told["notes"]}  # type: ignore[no-any-return]


def point(world: World, who: Who) -> UUID:
    ((found,),) = world.query("select contact_point_id from intake.contact_point where address_key = :k", k=who.key)
    return UUID(str(found))


def test_who_looked_is_told_by_time_command_and_purpose_and_by_no_name(world: World) -> None:
    """CJEU C-579/21: when and for what; of whom looked no more than the organisation shows."""
    world.perform([sign_up(1, AINO, T0), sign_up(2, KALLE, T0)])
    world.run()
    with world.session().transaction() as conn:
        for who, command in ((AINO, "explain"), (KALLE, "consent show")):
            append_read(conn, ReadEntry("olli", command, f"case {command}", [point(world, who)], "entry 7"))
    (read,) = exported(world, "Aino")["readings"]
    assert (read["command"], read["purpose"]) == ("explain", "case explain")
    assert set(read) == {"read_at", "command", "purpose"}


def test_at_a_shared_address_a_reading_is_told_without_what_it_was_for(world: World) -> None:
    """It can have been for the other, and tell of them."""
    world.perform([sign_up(1, AINO, T0), sign_up(2, MAIJA, T0)])
    world.run()
    with world.session().transaction() as conn:
        append_read(conn, ReadEntry("olli", "explain", "the claim of Maija", [point(world, AINO)]))
    (read,) = exported(world, "Aino")["readings"]
    assert set(read) == {"read_at", "command"}


def test_whoever_may_not_see_what_all_read_says_so_in_the_export(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    with world.session().transaction() as conn:
        append_read(conn, ReadEntry("olli", "explain", "a case", [point(world, AINO)]))
    with world.owner.begin() as conn:
        conn.execute(sa.text(f"create role an_operator login in role {PIPELINE_ROLE}"))
    url = world.owner.url.set(username="an_operator")
    engine = sa.create_engine(url, connect_args={"options": f"-c role={PIPELINE_ROLE} -c search_path=intake,public"})
    try:
        world.workspace = replace(world.workspace, engine=engine)
        data = exported(world, "Aino")
        assert data["readings"] == []
        assert any("privacy officer" in str(note) for note in data["notes"])
    finally:
        engine.dispose()
        with world.owner.begin() as conn:
            conn.execute(sa.text("drop role an_operator"))


def test_holds_on_the_person_and_on_what_they_registered_for_are_told(world: World) -> None:
    world.perform([register(1, AINO, T0), register(2, KALLE, T0)])
    world.run()
    people = dict(world.query("select given_name, person_id from intake.person"))
    ((occasion,),) = world.query("select occasion_pk from intake.occasion")
    with world.owner.begin() as conn:
        add = (
            "insert into intake.legal_hold (hold_id, person_id, occasion_pk, reason, held_by, made_at)"
            " values (gen_random_uuid(), :person, :occasion, :reason, 'Tiina', now())"
        )
        for person, on, reason in (
            (people["Aino"], None, "her claim"),
            (people["Kalle"], None, "his claim"),
            (None, occasion, "a claim of Kalle's"),
        ):
            conn.execute(sa.text(add), {"person": person, "occasion": on, "reason": reason})
    holds = exported(world, "Aino")["legal_holds"]
    assert {(row["of"], row["reason"]) for row in holds} == {("you", "her claim"), ("Course LK1", None)}
    assert not {"held_by", "released_by"} & set(holds[0])


def test_what_a_source_states_of_nobody_in_particular_at_the_address_is_told(world: World) -> None:
    """A flag alone makes nobody of whoever it is about; its value stays under the address."""
    world.perform([sign_up(1, AINO, T0), prohibit(2, Who(AINO.address), T0)])
    world.run()
    stated = world.query(
        "select v.submission_id, s.subject_id from intake.stated_value v left join intake.submission s"
        " using (source, submission_id) where s.subject_id is null"
    )
    assert stated
    assert {row.submission_id for row in stated} <= {
        row["submission_id"] for row in exported(world, "Aino")["stated_values"]
    }


def test_what_was_overwritten_of_an_age_is_told_at_a_shared_address(asking: World) -> None:  # noqa: F811
    asking.perform([born(GROWN), sign_up(2, MAIJA, T0)])
    asking.run()
    asking.perform([born(CHILD, changed_at=LATER)])
    asking.run()
    assert asking.query("select from intake.row_image where table_name = 'subject'")
    assert "subject" in {row["table_name"] for row in exported(asking, "Aino")["overwritten"]}
    assert "subject" not in {row["table_name"] for row in exported(asking, "Maija")["overwritten"]}
