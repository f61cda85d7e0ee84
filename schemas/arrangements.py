"""Arrangements: how a delivery stands before each of its rows is one submission. Data, part of a mapping's language.

Rows of titles that are not simply the first row (`TableLayout`), cells that list several options (`OptionList`), rows
that speak of several people (`Block`), and cells that hold a list of people (`ItemList`). What is derived gets columns
with names of its own, so that the rest of a mapping reads them like any other.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Of which part of its row (a block's id, an item's number) a submission is, and whether that part registers anybody.
PART = "__part"
REGISTERS = "__registers"
# What a list of options holds beyond the options that the mapping knows.
UNLISTED = "?"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableLayout(_Strict):
    """How a table stands in its file, where it is not just one row of titles and the rows below it.

    `found_by` finds the row of titles wherever it stands: the first of the texts is its first cell, and each of the
    others is a title or the end of one after a colon (`Booker:E-mail`). `second_row` says what stands right below the
    titles: nothing of the kind, a row to drop, or the second half of the titles. Joined, an empty title above is that of
    the column to its left, and `-` or an empty cell below means that the title above is the whole one.
    `summary` lists the first words of rows that sum up the answers and stand below them.
    """

    found_by: tuple[str, ...] = ()
    second_row: Literal["none", "dropped", "joined"] = "none"
    summary: tuple[str, ...] = ()


class OptionList(_Strict):
    """A cell that lists the ticked options (`1;3;8`, `one;two;`): read as a column `title:option` for each option.

    The cell of an option that was ticked holds the option, of another nothing. What is in the list but not among
    `options` is a fault of the row, and costs none of the options that can be read.
    """

    column: str
    separator: str = Field(default=";", min_length=1)
    options: tuple[str, ...] = Field(min_length=1)

    def columns(self) -> tuple[str, ...]:
        """The derived columns, the one for what is not listed last."""
        return tuple(f"{self.column}:{option}" for option in (*self.options, UNLISTED))


class Block(_Strict):
    """One of the people that a row speaks of: a submission of its own, unless all its columns are blank.

    `columns` gives, for names of the mapping's own choice, the titles under which this person's values stand; the other
    columns of the row hold for each person. `registers` tells whether the row registers this person: a booker who books
    for others is not registered, one who fills in no attendee is (`if_alone`).
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    columns: dict[str, str] = Field(min_length=1)
    registers: Literal["always", "never", "if_alone"] = "always"


class ItemList(_Strict):
    """A cell that holds a list of people or orders: each item is a submission of its own, a blank list one without.

    `json`: a list of objects. `text`: Drupal's composites, items between lines of `separator`, each line `Label: value`.
    `columns` are the keys or labels that an item may have; a value stands in the derived column `column.key`. A key
    that is not listed stops the batch by name, as an unknown column does; a label, which may be what somebody wrote, does
    so as `?`. `key` is the one that tells an item from the others for ever; without it its number in the list does.
    """

    column: str
    form: Literal["json", "text"] = "json"
    separator: str = "---"
    key: str | None = None
    columns: tuple[str, ...] = Field(min_length=1)

    def titles(self) -> tuple[str, ...]:
        """The derived columns."""
        return tuple(f"{self.column}.{key}" for key in self.columns)


class PairList(_Strict):
    """A list of named values in a JSON record (`[{"name": "email", "value": …}]`): a column `list.name` for each.

    `list`, `name` and the `values`, of which the first that is there counts, are paths of keys joined by dots.
    """

    list: str
    name: str
    values: tuple[str, ...] = Field(min_length=1)


class Arrangement(_Strict):
    """How a delivery is taken apart; `blocks` and `items` cannot both be.

    `records` is where a JSON document keeps its records (a JMESPath, https://jmespath.org), such as
    `events.*.participants[]`; `pairs` are the lists of named values in a record.
    """

    records: str = ""
    pairs: tuple[PairList, ...] = ()
    options: tuple[OptionList, ...] = ()
    blocks: tuple[Block, ...] = ()
    items: ItemList | None = None

    @model_validator(mode="after")
    def _one_way_to_take_rows_apart(self) -> "Arrangement":
        if self.items and self.items.key not in (None, *self.items.columns):
            raise ValueError("items.key must be one of items.columns")
        if self.blocks and self.items:
            raise ValueError("give either blocks or items: a row is taken apart in one way")
        ids = [block.id for block in self.blocks]
        if len(set(ids)) < len(ids):
            raise ValueError("give each block an id of its own")
        given = {title for block in self.blocks for title in block.columns.values()}
        if both := sorted(given & set(self.own_names())):
            raise ValueError(f"{', '.join(both)}: a block's own names must not be titles of the delivery")
        return self

    def own_names(self) -> tuple[str, ...]:
        """The names that blocks give to their people's values."""
        return tuple(dict.fromkeys(name for block in self.blocks for name in block.columns))

    def of_items(self) -> frozenset[str]:
        """The columns that hold what an item itself says, its lists of options taken apart too."""
        titles = self.items.titles() if self.items else ()
        options = [column for each in self.options if each.column in titles for column in each.columns()]
        return frozenset([*titles, *options])

    def delivered(self) -> frozenset[str]:
        """The titles that the delivery has to bring for it."""
        titles = [title for block in self.blocks for title in block.columns.values()]
        return frozenset(
            [*titles, *(each.column for each in self.options), *([self.items.column] if self.items else [])]
        )

    def derived(self) -> frozenset[str]:
        """The columns that it makes."""
        options = [column for each in self.options for column in each.columns()]
        people = [*self.own_names(), *(self.items.titles() if self.items else ())]
        parts = [PART, REGISTERS] if self.blocks else [PART] if self.items else []
        return frozenset([*options, *people, *parts])
