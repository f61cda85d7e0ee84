"""What identifies a submission for ever, and what tells a changed one from a repeated one.

A submission's id must be the same in every delivery that holds it; its content hash the same while nothing that is
mapped has changed. Hashes are BLAKE2b of 16 bytes, in hexadecimal.
"""

from collections import Counter
from hashlib import blake2b

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrangements import PART
from schemas.labels import LABEL_OF
from schemas.mappings import Mapping

_BETWEEN, _MISSING = "\x1f", "\x1e"


def content_hashes(cells: pd.DataFrame) -> pd.Series:
    """A hash of each row's cells (`str`), whatever the order of the columns; how questions are worded is no content."""
    return _hashed(_joined(cells[_told(cells)]))


def submission_ids(
    cells: pd.DataFrame, mapping: Mapping, *, batch_ids: pd.Series | None = None, seen: Counter[str] | None = None
) -> pd.Series:
    """`feed:key`, with the part of a row that was taken apart; of a row without a key `feed:hash`, of its cells and how
    many equal rows came before it in its own batch (`batch_ids` tells the batches of a frame that holds several).

    A feed without a key that delivers the same rows again in any order gives the same set of ids. Of a frame that is read
    in parts, `seen` remembers from one to the next which rows without a key there were; it is added to.
    """
    key = _key(mapping)
    if not key:
        return _prefixed(mapping, _occurrences(cells, batch_ids, seen))
    keyed = _joined(cells[key], between="|")
    is_keyed = keyed_rows(cells, mapping)
    if is_keyed.all():
        return _prefixed(mapping, keyed)
    others = None if batch_ids is None else batch_ids[~is_keyed]
    return _prefixed(mapping, keyed.where(is_keyed, _occurrences(cells[~is_keyed], others, seen)))


def keyed_rows(cells: pd.DataFrame, mapping: Mapping) -> pd.Series:
    """Which rows (`bool`) have a value in every column of the key; none where the feed has no key."""
    key = _key(mapping)
    return cells[key].notna().all(axis=1) if key else pd.Series(False, index=cells.index)


def _key(mapping: Mapping) -> list[str]:
    key = list(mapping.key) or ([mapping.table.key] if mapping.table else [])
    return [*key, PART] if key and PART in mapping.arrangement.derived() else key


def _occurrences(cells: pd.DataFrame, batch_ids: pd.Series | None, seen: Counter[str] | None) -> pd.Series:
    joined = _joined(cells[_told(cells)])
    within = joined if batch_ids is None else joined + _BETWEEN + batch_ids
    before = joined.groupby(within, sort=False).cumcount()
    if seen is not None:
        names = _hashed(within)
        before += names.map(lambda name: seen[name]).astype("int64")
        seen.update(names.tolist())
    return _hashed(joined + _BETWEEN + before.astype("str"))


def _told(cells: pd.DataFrame) -> list[str]:
    return sorted(title for title in cells.columns if not title.startswith(LABEL_OF))


def _prefixed(mapping: Mapping, ids: pd.Series) -> pd.Series:
    return f"{mapping.feed}:" + ids


def _joined(cells: pd.DataFrame, *, between: str = _BETWEEN) -> pd.Series:
    if not len(cells.columns) or cells.empty:
        return pd.Series("", index=cells.index, dtype="str")
    text = pa.large_string()
    columns = [pa.array(cells[name].fillna(_MISSING), text) for name in cells.columns]
    joined = pc.binary_join_element_wise(*columns, pa.scalar(between, text))
    return pd.Series(joined.to_pandas().array, index=cells.index, dtype="str")


def _hashed(texts: pd.Series) -> pd.Series:
    hashes = [blake2b(text.encode(), digest_size=16).hexdigest() for text in texts.tolist()]
    return pd.Series(hashes, index=texts.index, dtype="str")
