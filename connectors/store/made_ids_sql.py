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
