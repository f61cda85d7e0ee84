"""The benchmark of clicks runs, and every click of it comes to the CRM."""

from benchmarks.clicks import measure_clicks
from benchmarks.consent_answers import measure_answers
from benchmarks.door_load import door_under_load
from tests.throwaway import server_directory


def test_each_click_comes_to_the_crm() -> None:
    with server_directory() as directory:
        measured = measure_clicks(directory, clicks=3, per_second=5)
    assert len(measured.to_crm) == 3 and all(0 < seconds < 60 for seconds in measured.to_crm)


def test_the_provider_answers_each_question_of_its_benchmark_rightly() -> None:
    with server_directory() as directory, door_under_load(directory, 50, is_durable=False) as door:
        assert len(measure_answers(door, questions=20)) == 20
