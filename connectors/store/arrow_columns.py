"""Between pandas frames and Arrow tables, as the store's drivers want them. Pure: no connection, no SQL.

Text goes over without a copy: a pandas `str` column is Arrow memory already.
"""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import StoreError

_ZERO_UUID = "00000000-0000-0000-0000-000000000000"
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
# Where the 32 digits stand in the 36 characters of the usual spelling.
_DIGIT_PLACES = np.array([place for place in range(36) if place not in (8, 13, 18, 23)])


def table_from_frame(frame: pd.DataFrame, *, uuid_columns: Collection[str] = ()) -> pa.Table:
    """The frame without its index as Arrow; the named text columns become `pa.uuid()`, missing stays null."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    for name in uuid_columns:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, uuids_from_text(table.column(name), name=name))
    return table


def frame_from_table(table: pa.Table) -> pd.DataFrame:
    """Text and UUIDs as `str`, times as `datetime64[us, UTC]`, whole numbers `int64` (`Int64` with nulls), truth `bool`
    (`boolean` with nulls), dates as objects. Column order and row order stay."""
    return pd.DataFrame({name: _series(table.column(name)) for name in table.column_names}, copy=False)


def uuids_from_text(column: pa.ChunkedArray, *, name: str) -> pa.Array:
    """Text in any spelling of 32 hexadecimal digits as `pa.uuid()`; StoreError names the column of one that is not."""
    texts = (
        pa.array(column.combine_chunks(), pa.large_string()) if column.num_chunks else pa.array([], pa.large_string())
    )
    digits = pc.replace_substring(pc.fill_null(texts, _ZERO_UUID), "-", "")
    if not pc.all(pc.match_substring_regex(digits, "^[0-9a-fA-F]{32}$")).as_py() and len(digits):
        raise StoreError(f"Column '{name}' holds a text that is not a UUID.", sqlstate="22P02")
    packed = pa.py_buffer(bytes.fromhex("".join(digits.to_pylist())))
    validity = pa.array(texts.is_valid()).buffers()[1] if texts.null_count else None
    storage = pa.Array.from_buffers(pa.binary(16), len(texts), [validity, packed])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def texts_from_uuids(uuids: pa.Array) -> pa.Array:
    """UUIDs as 36 lower-case characters; null stays null."""
    storage = uuids.storage if isinstance(uuids, pa.ExtensionArray) else uuids
    packed = np.frombuffer(b"".join(storage.fill_null(bytes(16)).to_pylist()), dtype=np.uint8)
    spelled = np.full((len(storage), 36), ord("-"), dtype=np.uint8)
    digits = np.stack((_HEX[packed >> 4], _HEX[packed & 15]), axis=-1).reshape(len(storage), 32)
    spelled[:, _DIGIT_PLACES] = digits
    offsets = np.arange(0, 36 * (len(storage) + 1), 36, dtype=np.int64)
    validity = pa.array(storage.is_valid()).buffers()[1] if storage.null_count else None
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(spelled.tobytes())]
    return pa.Array.from_buffers(pa.large_string(), len(storage), buffers)


def columns_with_nul(table: pa.Table) -> Sequence[str]:
    """The text columns with a NUL character in them, which PostgreSQL cannot store."""
    return [
        name
        for name in table.column_names
        if _is_text(table.schema.field(name).type) and pc.any(pc.match_substring(table.column(name), "\0")).as_py()
    ]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _series(column: pa.ChunkedArray) -> pd.Series:
    kind = column.type
    if kind == pa.uuid():
        texts = pa.chunked_array([texts_from_uuids(chunk) for chunk in column.chunks], pa.large_string())
        return texts.to_pandas()
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
        return _series(column)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz and "UTC")).to_pandas()
    if pa.types.is_integer(kind):
        return (
            column.to_pandas(types_mapper={kind: pd.Int64Dtype()}.get)
            if column.null_count
            else column.cast("int64").to_pandas()
        )
    if pa.types.is_boolean(kind) and column.null_count:
        return column.to_pandas(types_mapper={kind: pd.BooleanDtype()}.get)
    return column.to_pandas()
