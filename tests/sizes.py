"""How large a test is run: `make test` at gate size, `make soak` at the size of a night."""

import os


def sized(gate: int, night: int) -> int:
    """The number of examples, rows or rounds: `gate` on every change, `night` where INTAKE_TESTS is `night`."""
    return night if os.environ.get("INTAKE_TESTS") == "night" else gate
