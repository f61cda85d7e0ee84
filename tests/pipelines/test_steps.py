"""Errors of a step in Dagster's words: what may pass is tried again, and nobody's data is repeated."""

import dagster as dg
import pytest

from pipelines.assets.steps import declared_errors
from schemas.errors import ApprovalRequired, ConfigurationError, CrmUnavailable, SourceUnavailable, StoreError


@pytest.mark.parametrize("error", [SourceUnavailable("The site is down."), CrmUnavailable("Throttled.", status=429)])
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    with pytest.raises(dg.Failure) as caught, declared_errors():
        raise error
    assert caught.value.allow_retries
    assert str(error) in str(caught.value.description)


@pytest.mark.parametrize("error", [ConfigurationError("No."), StoreError("No."), ApprovalRequired("p1", "It waits.")])
def test_what_will_not_pass_fails_at_once(error: Exception) -> None:
    with pytest.raises(dg.Failure) as caught, declared_errors():
        raise error
    assert not caught.value.allow_retries
    assert caught.value.description == f"{type(error).__name__}: {error}"


def test_an_unforeseen_error_is_told_by_its_place_and_not_by_its_words() -> None:
    with pytest.raises(dg.Failure) as caught, declared_errors():
        int("maija.meikalainen@example.org")
    assert "Unexpected ValueError at tests/pipelines/test_steps.py:" in str(caught.value.description)
    assert "maija" not in str(caught.value.description)
    assert caught.value.__suppress_context__
    assert not caught.value.allow_retries


def test_a_failure_that_is_in_dagsters_words_already_is_left_as_it_is() -> None:
    failure = dg.Failure("As it is.", allow_retries=True)
    with pytest.raises(dg.Failure) as caught, declared_errors():
        raise failure
    assert caught.value is failure
