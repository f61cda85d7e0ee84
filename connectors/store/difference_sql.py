"""SQL that makes what a table keeps of the contact points of `t_dirty` equal to what was derived anew, by the difference.

What stays as it was is not written again, and what changed is written where it is: no index is touched for either.
"""


def keep_equal(table: str, derived: str, *, key: str, values: str) -> tuple[str, str, str]:
    """Three statements, in this order: forget what is no more, change what differs, add what is new.

    `derived` is a temporary table with the columns `key` and `values` (lists divided by commas), one row a key.
    """
    ours, theirs = _of("n", key), _of("k", key)
    new, old = _of("n", values), _of("k", values)
    changed = ", ".join(f"{name} = n.{name}" for name in values.split(", "))
    return (
        f"delete from {table} k where k.contact_point_id in (select contact_point_id from t_dirty)"
        f" and not exists (select from {derived} n where ({ours}) = ({theirs}))",
        f"update {table} k set {changed} from {derived} n"
        f" where ({ours}) = ({theirs}) and row({new}) is distinct from row({old})",
        f"insert into {table} ({key}, {values}) select {key}, {values} from {derived} n"
        f" where not exists (select from {table} k where ({ours}) = ({theirs}))",
    )


def _of(alias: str, names: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in names.split(", "))
