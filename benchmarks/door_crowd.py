"""Many people at once, straight into the store: subscribers with grant, folded state and living purpose, by SQL."""

from uuid import UUID

import sqlalchemy as sa

from connectors.store.address import ServerAddress

# Person number n reads person{n}@example.org, and granted marketing as a whole ten days ago.
_STATEMENTS = (
    """insert into intake.contact_point (contact_point_id, address, address_key, is_role_address, acked_version)
       select md5('point' || n)::uuid, 'person' || n || '@example.org', 'person' || n || '@example.org', false, 1
       from generate_series(1, :n) n""",
    """insert into intake.person (person_id, contact_point_id, given_name, family_name)
       select md5('person' || n)::uuid, md5('point' || n)::uuid, 'Given', 'Family' from generate_series(1, :n) n""",
    """insert into intake.subject (subject_id, contact_point_id, given_key, has_ground, person_id)
       select md5('subject' || n)::uuid, md5('point' || n)::uuid, 'given', true, md5('person' || n)::uuid
       from generate_series(1, :n) n""",
    """insert into intake.consent_event (event_key, subject_id, contact_point_id, purpose, topic, value, actor, clock,
           occurred_at, precision_s, effective_at, received_at, source, commitment)
       select sha256(convert_to('event' || n, 'UTF8')), md5('subject' || n)::uuid, md5('point' || n)::uuid, 'marketing',
           '', 'grant', 'subject', 'web_forms', now() - interval '10 days', 0, now() - interval '10 days',
           now() - interval '10 days', 'web_forms', '\\x00' from generate_series(1, :n) n""",
    """insert into intake.consent_state (contact_point_id, purpose, topic, state)
       select md5('point' || n)::uuid, 'marketing', t, 'granted'
       from generate_series(1, :n) n, unnest(array['', 'training', 'rdi', 'services', 'events']) t""",
    """insert into intake.person_consent (contact_point_id, person_id, purpose, topic, state, granted_at)
       select md5('point' || n)::uuid, md5('person' || n)::uuid, 'marketing', t, 'granted', now() - interval '10 days'
       from generate_series(1, :n) n, unnest(array['', 'training', 'rdi', 'services', 'events']) t""",
    """insert into intake.person_purpose (person_id, purpose, contact_point_id, begins_at)
       select md5('person' || n)::uuid, 'marketing', md5('point' || n)::uuid, now() - interval '10 days'
       from generate_series(1, :n) n""",
    "analyze",
)


def seed_crowd(address: ServerAddress, people: int) -> None:
    """Add so many subscribers."""
    engine = sa.create_engine(address.url_psycopg)
    with engine.begin() as conn:
        for statement in _STATEMENTS:
            conn.execute(sa.text(statement), {"n": people} if ":n" in statement else {})
    engine.dispose()


def points_of(address: ServerAddress, people: int) -> list[UUID]:
    """The contact points of the first so many of them, in their order."""
    engine = sa.create_engine(address.url_psycopg)
    with engine.connect() as conn:
        found = conn.execute(sa.text("select md5('point' || n)::uuid from generate_series(1, :n) n"), {"n": people})
        points = list(found.scalars())
    engine.dispose()
    return points
