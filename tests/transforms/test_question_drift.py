"""The diff of a form's questions: new, gone, renamed, re-ordered, and titles that other questions took over."""

from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.transforms.question_drift import drift_of, stops

KNOWN = [["a", "Email"], ["b", "Newsletter"], ["c", "Topics"]]
TITLES = st.lists(st.sampled_from(["Email", "News", "Newsletter", "Topics", "Topics", "Muu, mikä?:"]), max_size=7)


def test_new_gone_renamed_and_reordered_questions_are_told_apart_by_their_ids() -> None:
    drift = drift_of(KNOWN, [["c", "Topics"], ["b", "Uutiskirje"], ["d", "Shoe size"]])
    assert drift.new == ("Shoe size",)
    assert drift.gone == ("Email",)
    assert drift.renamed == (("Newsletter", "Uutiskirje"),)
    assert drift.moved == ()
    assert drift.lines() == ["+ 'Shoe size'", "- 'Email'", "~ 'Newsletter' is now 'Uutiskirje'"]
    assert drift.sentence().startswith("The questions changed: ")


def test_a_question_that_stands_elsewhere_is_the_only_one_told() -> None:
    assert drift_of(KNOWN, [KNOWN[1], KNOWN[2], KNOWN[0]]).reordered == ("Email",)


def test_a_copied_survey_with_ids_of_its_own_is_no_drift() -> None:
    assert not drift_of(KNOWN, [[f"copy-{number}", title] for number, title in KNOWN])


def test_identical_titles_that_changed_places_are_other_questions_now() -> None:
    twice = [["a", "Email"], ["b", "Email"]]
    drift = drift_of(twice, [["b", "Email"], ["a", "Email"]])
    assert drift.moved == ("Email", "Email #2")
    assert stops(drift, {"Email"}) == ["Email"]
    assert stops(drift, {"Something else"}) == []


def test_a_title_taken_over_stops_whatever_part_of_it_is_read() -> None:
    drift = drift_of(KNOWN, [["a", "Email"], ["b", "Topics"], ["c", "Newsletter"]])
    assert stops(drift, {"Topics:Training"}) == ["Topics"]


def test_without_ids_a_like_title_is_told_as_renamed() -> None:
    drift = drift_of([[None, "Newsletter"], [None, "Email"]], [[None, "Newsletters"], [None, "Email"]])
    assert drift.renamed == (("Newsletter", "Newsletters"),)
    assert (drift.new, drift.gone) == ((), ())


@given(TITLES, TITLES)
@example(["News", "News"], ["Newsletter", "Newsletter", "Newsletter", "News"])
def test_the_diff_accounts_for_every_title(old: list[str], new: list[str]) -> None:
    known, shown = [[None, title] for title in old], [[None, title] for title in new]
    drift = drift_of(known, shown)
    assert not drift_of(known, known)
    if old:
        gained = len(new) - len(old)
        assert len(drift.new) - len(drift.gone) == gained
        assert len({was for was, _ in drift.renamed}) == len({now for _, now in drift.renamed}) == len(drift.renamed)
