"""Every instruction of a program beside the host's processor and the emulator, from random states.

Where the host is no x86-64, the emulator is the only witness; the report's header says so.
"""

from collections.abc import Iterator

import pytest

from tests.semantics.x86.oracle.compare import Comparer, Comparison
from tests.semantics.x86.oracle.groups import groups

SEED = 1
SHARE, SHARE_SPINS = 250, 4
"""Instructions of a group, and states of each, that every change runs."""
LONG_BATCHES, LONG_SPINS = 25, 40
"""Batches of a thousand instructions, and states of each, in the long suite: a million a group."""
GROUPS = [(name, narrow) for narrow in (False, True) for name in groups(narrow)]
IDS = [f"{name}, {32 if narrow else 64} bit" for name, narrow in GROUPS]


@pytest.fixture(scope="module")
def comparer() -> Iterator[Comparer]:
    """All sides; the others are processes of their own."""
    sides = Comparer()
    yield sides
    sides.close()


def settle(result: Comparison) -> None:
    """Fail with reproducers if a difference is not in the table."""
    assert not result.crashes, "\n".join(["a side crashed on:", *map(str, result.crashes)])
    assert not result.found, "\n".join(
        [f"{len(result.found)} of {result.cases} cases differ:", *map(str, result.found[:5])]
    )


@pytest.mark.parametrize(("name", "narrow"), GROUPS, ids=IDS)
def test_group_random_states_agrees_with_others(
    comparer: Comparer, name: str, narrow: bool
) -> None:
    """A share of what the long suite runs."""
    result = comparer.batch(groups(narrow)[name], SEED, SHARE, SHARE_SPINS, narrow)
    settle(result)
    assert all(count == SHARE * SHARE_SPINS for count in result.compared.values())


@pytest.mark.long
@pytest.mark.parametrize(("name", "narrow"), GROUPS, ids=IDS)
def test_group_a_million_states_agrees_with_others(
    comparer: Comparer, name: str, narrow: bool
) -> None:
    """The whole measure."""
    total = Comparison()
    for seed in range(LONG_BATCHES):
        total.add(comparer.batch(groups(narrow)[name], seed, spins=LONG_SPINS, narrow=narrow))
    settle(total)
    assert total.cases >= 1_000_000
