"""Taking a delivery's rows apart as its mapping says: lists of options, several people in a row, lists of people.

Raw frame in, raw frame out (`connectors.raw_frames`), pure. What a mapping does not take apart passes unchanged. The
delivered columns stay, so that one which is gone is missed by its own title.
"""

from collections.abc import Collection, Iterator
from typing import Any

import pandas as pd

from connectors.json_documents import parse_json
from connectors.raw_frames import as_cell, text_column
from schemas.arrangements import PART, REGISTERS, UNLISTED, Arrangement, Block, ItemList, OptionList

_YES, _NO = "yes", "no"
_UNREADABLE = {UNLISTED: UNLISTED}


def arranged(frame: pd.DataFrame, arrangement: Arrangement) -> pd.DataFrame:
    """The frame with the derived columns of the arrangement, one row per submission, in the order delivered."""
    if frame.empty and not len(frame.columns):
        return frame
    if arrangement.blocks:
        frame = _by_block(frame, arrangement.blocks)
    elif arrangement.items:
        frame = _by_item(frame, arrangement.items)
    for listed in arrangement.options:
        frame = _with_options(frame, listed)
    return frame


def _column(frame: pd.DataFrame, title: str) -> "pd.Series[str]":
    """A column by its title, white space aside; blank throughout where it is not there."""
    if title in frame.columns:
        return frame[title]
    alike = [name for name in frame.columns if " ".join(str(name).split()) == " ".join(title.split())]
    return frame[alike[0]] if len(alike) == 1 else pd.Series(None, index=frame.index, dtype="str")


def _with_options(frame: pd.DataFrame, listed: OptionList) -> pd.DataFrame:
    known = {_folded(option): option for option in listed.options}
    cells = _column(frame, listed.column)
    ticked = {cell: _ticked(cell, listed.separator, known) for cell in cells.dropna().unique()}
    columns = {
        f"{listed.column}:{option}": cells.map({cell: option for cell, found in ticked.items() if option in found})
        for option in listed.options
    }
    beyond = {cell: found[UNLISTED] for cell, found in ticked.items() if UNLISTED in found}
    return frame.assign(**{t: c.astype("str") for t, c in columns.items()}).assign(
        **{f"{listed.column}:{UNLISTED}": cells.map(beyond).astype("str")}
    )


def _ticked(cell: str, separator: str, known: dict[str, str]) -> dict[str, str]:
    """The listed options of a cell, and what it holds beyond them under `UNLISTED`."""
    whole = known.get(_folded(cell))
    parts = [cell] if whole else [part for part in cell.split(separator) if part.strip()]
    found = {known[_folded(part)]: part for part in parts if _folded(part) in known}
    beyond = [part.strip() for part in parts if _folded(part) not in known]
    return {**found, UNLISTED: separator.join(beyond)} if beyond else found


def _by_block(frame: pd.DataFrame, blocks: tuple[Block, ...]) -> pd.DataFrame:
    names = dict.fromkeys(name for block in blocks for name in block.columns)
    people = [_of_block(frame, block, list(names)) for block in blocks]
    is_blank = pd.DataFrame(
        {block.id: p[list(block.columns)].isna().all(axis=1) for block, p in zip(blocks, people, strict=True)}
    )
    # A row in which nobody fills in anything is still a row that was read: it stays as the first block's.
    is_blank.loc[is_blank.all(axis=1), blocks[0].id] = False
    kept = []
    for block, person in zip(blocks, people, strict=True):
        alone = is_blank.drop(columns=block.id).all(axis=1)
        registers = alone if block.registers == "if_alone" else pd.Series(block.registers == "always", frame.index)
        flags = registers.map({True: _YES, False: _NO}).astype("str")
        kept.append(person.assign(**{REGISTERS: flags})[~is_blank[block.id]])
    return pd.concat(kept).sort_index(kind="stable").reset_index(drop=True)


def _of_block(frame: pd.DataFrame, block: Block, names: list[str]) -> pd.DataFrame:
    values = {name: _column(frame, block.columns[name]) if name in block.columns else None for name in names}
    texts = {name: pd.Series(column, index=frame.index, dtype="str") for name, column in values.items()}
    return frame.assign(**texts, **{PART: pd.Series(block.id, index=frame.index, dtype="str")})


def _by_item(frame: pd.DataFrame, listed: ItemList) -> pd.DataFrame:
    cells = _column(frame, listed.column)
    read = {cell: list(_items(cell, listed)) for cell in cells.dropna().unique()}
    places, items = [], []
    for place, cell in enumerate(cells):
        for item in (read[cell] if isinstance(cell, str) else []) or [{}]:
            places.append(place)
            items.append(item)
    keys = dict.fromkeys([*listed.columns, *(key for item in items for key in item)])
    derived = {f"{listed.column}.{key}": text_column([item.get(key) for item in items]) for key in keys}
    numbers = pd.Series(places, dtype="int64").groupby(places).cumcount().astype("str") if places else text_column([])
    parts = derived[f"{listed.column}.{listed.key}"].fillna(numbers) if listed.key else numbers
    apart = frame.iloc[places].reset_index(drop=True)
    return apart.assign(**derived, **{PART: parts})


def _items(cell: str, listed: ItemList) -> Iterator[dict[str, str | None]]:
    """The items of a cell; one that is no item gives a key that no mapping lists, so that the batch stops by it."""
    if listed.form == "json":
        yield from (_object(item) for item in _parsed(cell))
        return
    lines = "\n".join(line.rstrip("\r") for line in cell.split("\n"))
    for text in lines.split(f"\n{listed.separator}\n"):
        if text.strip():
            yield _labelled(text, listed.columns)


def _parsed(cell: str) -> list[Any]:
    try:
        document = parse_json(cell.encode())
    except ValueError:
        return [_UNREADABLE]
    return document if isinstance(document, list) else [document]


def _object(item: Any) -> dict[str, str | None]:
    return {str(key): as_cell(value) for key, value in item.items()} if isinstance(item, dict) else dict(_UNREADABLE)


def _labelled(text: str, labels: Collection[str]) -> dict[str, str | None]:
    """`Label: value` by line; a line without a label goes on with the value above.

    What stands before a colon may be what somebody wrote, and no label: one that is not known opens no column of its name.
    """
    label: str | None = None
    values: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip():
            label = name.strip() if name.strip() in labels else UNLISTED
            values[label] = value.strip() if label != UNLISTED else UNLISTED
        elif label is not None and label != UNLISTED:
            values[label] += f"\n{line.strip()}"
        elif line.strip():
            values[UNLISTED] = UNLISTED
    return {name: value or None for name, value in values.items()}


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
