"""Random segments, gates, tasks and mode changes: the process survives, and the engines agree."""

import pytest

from tests.fuzz.test_processors import outcomes
from tests.fuzz.x86_segments import run

PROGRAM = "tests.fuzz.x86_segments"
ENDS = {"BUDGET", "HALT", "SHUTDOWN", "EVENT_LOOP"}


def test_random_segments_and_gates_end_with_a_diagnosis() -> None:
    lines = outcomes(0, 60, 3000, PROGRAM)
    assert len(lines) == 60
    assert {line.split()[1] for line in lines} <= ENDS


@pytest.mark.parametrize("seed", range(5000, 5040))
def test_engines_agree_on_random_segments_and_gates(seed: int) -> None:
    assert run(seed, 200, "native") == run(seed, 200, "python")


@pytest.mark.long
@pytest.mark.parametrize("first", range(10_000, 18_000, 250))
def test_thousands_of_worlds_end_with_a_diagnosis(first: int) -> None:
    lines = outcomes(first, 250, 3000, PROGRAM)
    assert len(lines) == 250
    assert {line.split()[1] for line in lines} <= ENDS
