"""Rules of a mapping for whole rows: of which form they are, which nobody means yet, which the source has erased."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FormRef(_Strict):
    """The column that names the form, and the names that are this feed's: the same key means other things elsewhere."""

    column: str
    values: tuple[str, ...] = Field(min_length=1)


class SetAside(_Strict):
    """Rows that are nobody's submission, by one of the `values` of a column: each is withheld by `rule`.

    Such as spam and trash of a form engine, or a ticket that bears its buyer's name until somebody is named. What was taken
    in before it was `spam` or `trash` counts no more.
    """

    column: str
    values: tuple[str, ...] = Field(min_length=1)
    rule: Literal["spam", "trash", "test", "unassigned"]


class ErasedRef(_Strict):
    """The column by which the source tells that it has erased a submission: one of `values`, or anything at all."""

    column: str
    values: tuple[str, ...] = ()
