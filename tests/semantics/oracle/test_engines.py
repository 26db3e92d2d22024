"""The plain-Python engine and the compiled one on the same random cases: nothing may differ."""

import pytest

from tests.semantics.oracle.compare import Ours
from tests.semantics.oracle.encode import by_mnemonic
from tests.semantics.oracle.generate import Generator
from tests.semantics.oracle.layout import Batch
from tests.semantics.oracle.outcome import Outcome
from tests.semantics.oracle.traits import OTHER_CONTROLS
from worldswitch.metal.s390x.insn import Insn

SEED = 2
CHUNKS = 8


def instructions() -> list[Insn]:
    """Everything that runs in the problem state, floating point included."""
    items = by_mnemonic().values()
    return [item for item in items if not item.privileged and item.mnemonic not in OTHER_CONTROLS]


def differences(items: list[Insn], seed: int, each: int) -> list[str]:
    """Cases of which the engines make different things."""
    native, plain = Ours("native"), Ours("python")
    generator = Generator(seed)
    cases = [generator.case(items[n % len(items)], n) for n in range(each * len(items))]
    image = bytes(Batch(cases, generator.low_window()).image)
    here, there = native.run(image), plain.run(image)
    found = []
    for case in cases:
        a, b = Outcome.of(here, case.number, True), Outcome.of(there, case.number, True)
        if a != b:
            found.append(f"{case}\n{a.difference(b)}")
    if not found and here != there:
        found.append("storage outside of the cases differs")
    return found


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_engines_random_cases_agree(chunk: int) -> None:
    """A case of each instruction."""
    items = instructions()[chunk::CHUNKS]
    assert differences(items, SEED + chunk, 1) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_engines_many_random_cases_agree(seed: int) -> None:
    """A thousand cases, of instructions taken in turn."""
    items = instructions()
    items = items[seed % 4 :: 4]
    assert differences(items, 100 + seed, 1000 // len(items)) == []
