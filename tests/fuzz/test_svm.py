"""VMCBs, guests and tables that nobody would write: VMRUN always ends, and the host is unharmed."""

import pytest

from tests.fuzz.svm_worlds import KINDS, run
from tests.fuzz.test_processors import DAMAGE, outcomes

WORLDS, GUESTS = "tests.fuzz.svm_worlds", "tests.fuzz.guest_programs"


@pytest.mark.parametrize("seed", range(8))
def test_hostile_world_ends(seed: int) -> None:
    assert KINDS[seed % 4] in run(seed, 150)


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 1400, 50))
def test_forty_thousand_hostile_worlds_end(first: int) -> None:
    """Ten thousand of each kind over all parameters."""
    lines = outcomes(first, 50, 100, WORLDS)
    assert len(lines) == 50
    for kind in KINDS:
        assert any(kind in line for line in lines)


def test_random_programs_under_the_hypervisor_end_with_a_diagnosis() -> None:
    lines = outcomes(0, 12, 10_000, GUESTS)
    assert len(lines) == 12
    assert not [line for line in lines if any(word in line for word in DAMAGE)]


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 2000, 100))
def test_millions_of_random_instructions_under_the_hypervisor_end(first: int) -> None:
    lines = outcomes(first, 100, 50_000, GUESTS)
    assert len(lines) == 100
    assert not [line for line in lines if any(word in line for word in DAMAGE)]
