"""SQL of the ids under which rows are made: its maker's own for the first (a salted uuid5 of source and submission).

A corrected submission can make a second address or person; that one's id is a digest of the maker's and a number, the
same on every replay of the same history.
"""

MADE_ID = """
case when {nth} = 1 and not exists (select from {table} m where m.{key} = {maker}{elsewhere}) then {maker}
else coalesce((
    select a.id from (select k, md5({maker}::text || ':' || k)::uuid as id from generate_series(1, 64) k) a
    where not exists (select from {table} m where m.{key} = a.id) order by a.k offset {nth} - 1 limit 1
), gen_random_uuid()) end
"""


def day_of(column: str) -> str:
    """The four bytes of the day of a time, by which what is of one day lies together in indexes of millions; null is day 0."""
    return f"int4send(cast(coalesce(floor(extract(epoch from {column}) / 86400), 0) as integer))"


# An address made by a submission that tells its day has the day's digest for its first four bytes, the maker's for the rest:
# what is made on one day is found in a few pages of each index of millions, and not in one each.
BESIDE_ITS_DAY = f"""
case when submitted_from is null then maker_id else encode(overlay(uuid_send(maker_id) placing substring(
    sha256(:ledger_key || {day_of("submitted_from")}) from 1 for 4) from 1 for 4), 'hex')::uuid end
"""


def in_group(nth: str) -> str:
    """The id of a group's n-th row, which lies beside the group's others: its own first twelve bytes, then the number."""
    return f"encode(substring(uuid_send(:group_id) from 1 for 12) || int4send(cast({nth} as integer)), 'hex')::uuid"
