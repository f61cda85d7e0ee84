"""The live consent provider at size: seconds to an answer over HTTP, with so many people in the ledger.

`python -m benchmarks.consent_answers --people 1000000`. The goal: p99 at most 50 ms at 1 M people.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

import requests

from benchmarks.door_load import PROVIDER, DoorUnderLoad, door_under_load


def measure_answers(door: DoorUnderLoad, *, questions: int, seed: int = 1) -> list[float]:
    """Ask about people picked by chance, one in ten of them unknown; RuntimeError where an answer is wrong."""
    pick, seconds = random.Random(seed), []
    with requests.Session() as http:
        http.headers["Authorization"] = f"Bearer {PROVIDER}"
        for number in range(questions):
            is_known = number % 10 != 0
            name = f"person{pick.randrange(len(door.points)) + 1}" if is_known else f"nobody{number}"
            body = {"contact_point": f"{name}@example.org", "purpose": "marketing", "topic": "training"}
            began = time.perf_counter()
            answer = http.post(f"{door.url}/consent/check", json=body, timeout=30)
            seconds.append(time.perf_counter() - began)
            if answer.json()["allowed"] is not is_known:
                raise RuntimeError("The provider gave a wrong answer.")
    return seconds


def quantile_ms(seconds: list[float], share: float) -> float:
    """Milliseconds within which that share of the answers came."""
    return 1000 * sorted(seconds)[min(len(seconds) - 1, round(share * len(seconds)))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=5000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crm-intake-answers-") as folder:
        began = time.monotonic()
        with door_under_load(Path(folder), given.people, is_durable=False) as door:
            print(f"{given.people} people seeded in {time.monotonic() - began:.0f} s")
            seconds = measure_answers(door, questions=given.questions)
            told = ", ".join(f"p{100 * share:g} {quantile_ms(seconds, share):.1f} ms" for share in (0.5, 0.95, 0.99))
            print(f"{given.questions} questions: {told}")


if __name__ == "__main__":
    main()
