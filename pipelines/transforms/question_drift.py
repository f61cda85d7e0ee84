"""How a form's questions differ from those that are known: new, gone, renamed, re-ordered; told as a diff. Pure.

Questions are [id, title] in their order; a file has no ids, so that a renamed question is then one gone and one new.
Titles are what a mapping reads by. Where a title that it reads now belongs to another known question, answers would be
read as what they are not: that alone stops a delivery, whatever its columns are.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

Question = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Drift:
    """Titles of new and gone questions, (old, new) titles of renamed ones, titles that stand elsewhere, and those that
    another known question has taken over (`moved`)."""

    new: tuple[str, ...]
    gone: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    reordered: tuple[str, ...]
    moved: tuple[str, ...]

    def __bool__(self) -> bool:
        return any((self.new, self.gone, self.renamed, self.reordered, self.moved))

    def lines(self) -> list[str]:
        """The diff, a line a question: `+` new, `-` gone, `~` renamed or moved, `↕` in another place."""
        return [
            *(f"+ {title!r}" for title in self.new),
            *(f"- {title!r}" for title in self.gone),
            *(f"~ {old!r} is now {new!r}" for old, new in self.renamed),
            *(f"~ {title!r} is another question now" for title in self.moved),
            *(f"↕ {title!r}" for title in self.reordered),
        ]

    def sentence(self) -> str:
        """The diff in one line, for a batch's stop reason."""
        return f"The questions changed: {'; '.join(self.lines())}."


def drift_of(known: Sequence[Question], shown: Sequence[Question]) -> Drift:
    """The differences. Where nothing is known nothing differs."""
    if not known or list(known) == list(shown):
        return Drift((), (), (), (), ())
    old, new = _titled(known), _titled(shown)
    renamed = {(was, now) for was, now in _same_ids(old, new) if was != now}
    gone = [title for title in old if title not in new]
    added = [title for title in new if title not in old]
    if not any(old.values()) or not any(new.values()):
        renamed |= set(_alike(gone, added))
    moved = {now for was, now in renamed if was in new or now in old}
    plain = sorted((was, now) for was, now in renamed if now not in moved)
    return Drift(
        new=tuple(title for title in added if title not in {now for _, now in plain}),
        gone=tuple(title for title in gone if title not in {was for was, _ in plain}),
        renamed=tuple(plain),
        reordered=tuple(_in_another_place(list(old), list(new))),
        moved=tuple(sorted(moved)),
    )


def stops(drift: Drift, mapped: Collection[str]) -> list[str]:
    """The titles that a mapping reads (in full, or as `title:…`) and that are another question now."""
    return [
        title for title in drift.moved if any(column == title or column.startswith(f"{title}:") for column in mapped)
    ]


def _titled(questions: Sequence[Question]) -> dict[str, str | None]:
    """Ids by title, identical titles told apart as the columns are (` #2`)."""
    seen: dict[str, int] = {}
    titled: dict[str, str | None] = {}
    for question_id, title in questions:
        text = " ".join((title or "").split())
        seen[text] = seen.get(text, 0) + 1
        titled[text if seen[text] == 1 else f"{text} #{seen[text]}"] = question_id
    return titled


def _same_ids(old: dict[str, str | None], new: dict[str, str | None]) -> list[tuple[str, str]]:
    now = {question_id: title for title, question_id in new.items() if question_id}
    was = {question_id: title for title, question_id in old.items() if question_id}
    return [(title, now[question_id]) for question_id, title in was.items() if question_id in now]


def _alike(gone: list[str], added: list[str]) -> list[tuple[str, str]]:
    """Each new title with the likest gone one that no earlier title took: one to one."""
    left, pairs = list(gone), []
    for title in added:
        for likest in get_close_matches(title, left, n=1):
            left.remove(likest)
            pairs.append((likest, title))
    return pairs


def _in_another_place(old: list[str], new: list[str]) -> list[str]:
    """Of the titles that both have, those that are not in the old order: the fewest, by the longest common order."""
    places = {title: place for place, title in enumerate(old)}
    common = [title for title in new if title in places]
    kept = set(_longest_in_order(common, places))
    return [title for title in common if title not in kept]


def _longest_in_order(titles: list[str], places: dict[str, int]) -> list[str]:
    """A longest run of the titles, others left out, in which their places only grow."""
    runs: list[list[str]] = []
    for title in titles:
        before: list[str] = []
        for run in runs:
            if len(run) > len(before) and places[run[-1]] < places[title]:
                before = run
        runs.append([*before, title])
    return max(runs, key=lambda run: len(run), default=[])
