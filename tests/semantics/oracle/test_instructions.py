"""Every problem-state instruction beside the independent emulator, from random states."""

from collections.abc import Iterator

import pytest

from tests.semantics.oracle.compare import Comparer, Comparison
from tests.semantics.oracle.groups import groups

SEED = 1
SHARE, SHARE_SPINS = 300, 8
"""Instructions of a group, and states of each, that every change runs."""
LONG_BATCHES, LONG_SPINS = 25, 40
"""Batches of a thousand instructions, and states of each, in the long suite: a million a group."""


@pytest.fixture(scope="module")
def comparer() -> Iterator[Comparer]:
    """Both sides; the emulator is a process of its own."""
    both = Comparer()
    yield both
    both.close()


def settle(result: Comparison) -> None:
    """Fail with reproducers if a difference is not in the table."""
    assert not result.crashes, "\n".join(["the emulator crashed on:", *map(str, result.crashes)])
    assert not result.found, "\n".join(
        [f"{len(result.found)} of {result.cases} cases differ:", *map(str, result.found[:5])]
    )


@pytest.mark.parametrize("name", groups())
def test_group_random_states_agrees_with_emulator(comparer: Comparer, name: str) -> None:
    """A share of what the long suite runs."""
    result = comparer.batch(groups()[name], SEED, SHARE, SHARE_SPINS)
    settle(result)
    assert result.cases > SHARE


@pytest.mark.long
@pytest.mark.parametrize("name", groups())
def test_group_a_million_states_agrees_with_emulator(comparer: Comparer, name: str) -> None:
    """The whole measure."""
    total = Comparison()
    for seed in range(LONG_BATCHES):
        total.add(comparer.batch(groups()[name], seed, spins=LONG_SPINS))
    settle(total)
    assert total.cases + total.refused >= 1_000_000
