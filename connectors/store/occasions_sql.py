"""SQL of courses and events: what a batch tells of them beside what is known, each part by itself.

t_occasion  those of the batch as they are to be; `is_changed` where what people see of one changes, `is_newer` where
            anything does

A part (name, start, end, field) is as the newest row that tells it has it, whichever batch brought that row and when: one
registration without dates takes nobody's event its dates. Merging is one at a time, so that nothing changes in between.
"""

_PARTS = {
    "name_version_at": ("name",),
    "starts_version_at": ("starts_at", "starts_to"),
    "ends_version_at": ("told_ends_at",),
    "field_version_at": ("field",),
}
_SHOWN = ("kind", "name", "starts_at", "ends_at", "field", "organiser_unit", "organiser_contact")
_BESIDE = ("starts_to", "told_ends_at", *_PARTS, "version_at", "earlier_ended_at")
_KEPT = ("occasion_id", *_SHOWN, *_BESIDE)


def _is_newer(version: str) -> str:
    return f"coalesce(n.{version}, '-infinity') >= coalesce(o.{version}, '-infinity')"


def _part(version: str, told: str, column: str) -> str:
    is_taken = f"n.{told} is not null and (o.{told} is null or {_is_newer(version)})"
    return f"case when {is_taken} then n.{column} else o.{column} end as {column}"


def _organiser(column: str) -> str:
    newer, older = f"coalesce(n.{column}, o.{column})", f"coalesce(o.{column}, n.{column})"
    return f"case when {_is_newer('version_at')} then {newer} else {older} end as {column}"


def _row(table: str, columns: tuple[str, ...]) -> str:
    return f"({', '.join(f'{table}.{column}' for column in columns)})"


_TOLD = ",\n           ".join(
    [_part(version, columns[0], column) for version, columns in _PARTS.items() for column in (*columns, version)]
    + [_organiser(column) for column in ("organiser_unit", "organiser_contact")]
)
_CHANGED, _NEWER = (f"{_row('o', columns)} is distinct from {_row('t', columns)}" for columns in (_SHOWN, _BESIDE))

# What anybody registers for as a course is one. An end is as told, or with the start; where a newer row tells a start after
# it, not before that (transforms.occasions). That it had passed when that start was told stays known: whoever registered
# before may have nothing to do with what comes.
FOLD_OCCASIONS = f"""
create temporary table t_occasion as
with told as (
    select coalesce(o.occasion_pk, n.occasion_pk) as occasion_pk, n.occasion_id,
           case when 'course_registration' in (n.kind, o.kind) then 'course_registration' else n.kind end as kind,
           {_TOLD},
           greatest(n.version_at, o.version_at) as version_at,
           greatest(
               o.earlier_ended_at, n.earlier_ended_at,
               case when n.starts_at > o.ends_at and coalesce(n.starts_told_at, :now) >= o.ends_at then o.ends_at end,
               case when o.starts_at > n.ends_at and o.starts_version_at >= n.ends_at then n.ends_at end
           ) as earlier_ended_at
    from {{occasions}} n left join intake.occasion o on o.source = :source and o.occasion_id = n.occasion_id
    where :raises
), dated as (
    select occasion_pk, occasion_id, kind, coalesce(name, occasion_id) as name, starts_at,
           case when coalesce(starts_version_at, '-infinity') > coalesce(ends_version_at, '-infinity')
                then greatest(told_ends_at, starts_to) else coalesce(told_ends_at, starts_to) end as ends_at,
           field, organiser_unit, organiser_contact, {", ".join(_BESIDE)}
    from told
)
select t.*, o.occasion_pk is null or {_CHANGED} as is_changed, {_NEWER} as is_newer
from dated t left join intake.occasion o using (occasion_pk)
"""

# Of which anything is about to be overwritten; its id stands in the place of a submission's.
KEEP_OCCASIONS = """
insert into intake.row_image (reading_id, table_name, source, submission_id, rows, kept_at)
select :reading_id, 'occasion', o.source, o.occasion_id, jsonb_build_array(to_jsonb(o)), :now
from t_occasion t join intake.occasion o using (occasion_pk) where t.is_changed or t.is_newer
"""

SAVE_OCCASIONS = f"""
insert into intake.occasion as o (occasion_pk, source, reading_id, {", ".join(_KEPT)})
select occasion_pk, :source, :reading_id, {", ".join(_KEPT)} from t_occasion where is_changed or is_newer
on conflict (source, occasion_id) do update set
    {", ".join(f"{column} = excluded.{column}" for column in (*_SHOWN, *_BESIDE))}, reading_id = excluded.reading_id,
    version = o.version + cast({_row("o", _SHOWN)} is distinct from {_row("excluded", _SHOWN)} as int)
"""

DIRTY_BY_OCCASION = """
insert into t_dirty
select distinct g.contact_point_id from intake.registration g
where g.occasion_pk in (select occasion_pk from t_occasion where is_changed) and not exists (
    select from t_dirty d where d.contact_point_id = g.contact_point_id)
"""

# What another version of the software had folded otherwise, as its migration noted.
DIRTY_BY_UNFOLDED = """
with noted as (delete from intake.unfolded returning contact_point_id)
insert into t_dirty
select contact_point_id from noted join intake.contact_point using (contact_point_id)
where contact_point_id not in (select contact_point_id from t_dirty)
"""
