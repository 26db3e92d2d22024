"""Random instructions in random states: the process survives, and each run says how it ended."""

import subprocess
import sys

import pytest

from worldswitch.machine.s390x.bare import S390Machine
from worldswitch.machine.s390x.board import PSW_64

SECONDS = 300
DAMAGE = ("unexpected exit", "Traceback")


def outcomes(first: int, seeds: int, size: int, program: str = "tests.fuzz.programs") -> list[str]:
    """Lines that a child process prints for its seeds; fails if it crashes or hangs."""
    arguments = [str(n) for n in (first, seeds, size)]
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", program, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-300:]}\n{done.stderr[-3000:]}"
    return [line for line in done.stdout.splitlines() if not line.startswith("start")]


def test_random_programs_end_with_a_diagnosis() -> None:
    lines = outcomes(0, 12, 10_000)
    assert len(lines) == 12
    assert not [line for line in lines if any(word in line for word in DAMAGE)]


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 1400, 50))
def test_millions_of_random_instructions_end_with_a_diagnosis(first: int) -> None:
    """Ten million instructions and more over all parameters."""
    lines = outcomes(first, 50, 50_000)
    assert len(lines) == 50
    assert sum(int(line.split()[1]) for line in lines) > 1_250_000
    assert not [line for line in lines if any(word in line for word in DAMAGE)]


def test_program_interruption_loop_is_told_in_plain_words() -> None:
    machine = S390Machine(memory=1 << 20)
    machine.memory.write(0x1D0, (1 << 63).to_bytes(8, "big") + bytes(8))
    machine.start(0x2000, PSW_64)
    result = machine.run(timeout=10)
    assert result.status == 3
    assert "program-interruption new PSW" in result.reason


def test_random_state_descriptions_end_with_a_result() -> None:
    assert len(outcomes(0, 2, 60, "tests.fuzz.descriptions")) == 2


@pytest.mark.long
@pytest.mark.parametrize("first", range(100, 120, 5))
def test_ten_thousand_state_descriptions_end_with_a_result(first: int) -> None:
    """Ten thousand over all parameters."""
    assert len(outcomes(first, 5, 500, "tests.fuzz.descriptions")) == 5
