"""Reading the people who are known by name, for a comparison of all with all; whom nobody is to look at is left out.

Left out are who has no purpose alive that uses names and addresses; role addresses; addresses that are held or restricted,
or that an open request is about (GDPR Art. 15 to 21); and who is known as a child.
"""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection, text

from connectors.store.children_sql import IS_CHILDS
from connectors.store.holding import HELD_POINTS

_PEOPLE = f"""
with kept as materialized (
    {HELD_POINTS}
    union
    select contact_point_id from intake.data_request where state = 'open' and contact_point_id is not null
    union
    select contact_point_id from intake.person_request where state = 'open'
), alive as (
    select person_id, bool_or(purpose = any(cast(:with_phone as text[]))) as uses_phone from intake.person_purpose
    where purpose = any(cast(:purposes as text[])) and (ends_at is null or ends_at > :now) group by person_id
)
select p.person_id, p.contact_point_id, coalesce(l.row_id, p.person_id) as contact_id, c.address, c.address_key,
       p.given_name, p.family_name, case when a.uses_phone then p.phone end as phone
from alive a
join intake.person p using (person_id)
join intake.contact_point c using (contact_point_id)
left join intake.crm_link l using (person_id)
where p.given_name is not null and not c.is_role_address
  and not exists (select from kept k where k.contact_point_id = p.contact_point_id)
  and not exists (select from intake.subject s where s.person_id = p.person_id and {IS_CHILDS.format("s")})
order by p.person_id
"""
COLUMNS = (
    *("person_id", "contact_point_id", "contact_id", "address", "address_key", "given_name", "family_name", "phone"),
)


def read_people(conn: Connection, *, purposes: Sequence[str], with_phone: Sequence[str], now: datetime) -> pd.DataFrame:
    """Who has one of the `purposes` alive, one row per person in the order of their ids: COLUMNS, all `object`.

    The phone is None but where one of the purposes `with_phone` is alive.
    """
    values = {"purposes": list(purposes), "with_phone": list(with_phone), "now": now}
    rows = conn.execute(text(_PEOPLE), values).all()
    return pd.DataFrame([tuple(row) for row in rows], columns=list(COLUMNS), dtype=object)
