"""Random x86 code, tables and images: the process survives, and says how it ended."""

from pathlib import Path
from random import Random

import pytest

from tests.fuzz.test_processors import DAMAGE, outcomes
from tests.unit.cli.test_pc import kernel
from worldswitch.machine.x86.acpi_tables import build
from worldswitch.machine.x86.loader import ImageError, Platform, load

PROGRAM = "tests.fuzz.pc_programs"
SHARE, LONG = 300, 20_000
MEMORY = 64 << 20


def test_random_x86_programs_end_with_a_diagnosis() -> None:
    lines = outcomes(0, 12, 10_000, PROGRAM)
    assert len(lines) == 12
    assert not [line for line in lines if any(word in line for word in DAMAGE)]


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 3000, 100))
def test_millions_of_random_x86_instructions_end_with_a_diagnosis(first: int) -> None:
    """Ten million instructions and more over all parameters."""
    lines = outcomes(first, 100, 50_000, PROGRAM)
    assert len(lines) == 100
    assert sum(int(line.split()[1]) for line in lines) > 500_000
    assert not [line for line in lines if any(word in line for word in DAMAGE)]


def damaged(data: bytes, rng: Random) -> bytes:
    """Cut short, or with some bytes of its header changed."""
    result = bytearray(data)
    if rng.random() < 0.3:
        del result[rng.randrange(len(result)) :]
    for _ in range(rng.choice((0, 1, 2, 8))):
        low, high = rng.choice(((0, 0x200), (0x1F0, 0x270)))
        width = rng.choice((1, 2, 4, 8))
        if len(result) > high + width:
            at = rng.randrange(low, high)
            result[at : at + width] = rng.choice((rng.randbytes(width), b"\xff" * width))
    return bytes(result)


@pytest.mark.parametrize(
    "count", [SHARE, pytest.param(LONG, marks=pytest.mark.long)], ids=["share", "long"]
)
def test_damaged_linux_kernels_load_or_are_refused_in_words(tmp_path: Path, count: int) -> None:
    rng = Random(count)
    whole = kernel(tmp_path).read_bytes()
    image = tmp_path / "damaged"
    seen = {"Linux": 0, "refused": 0}
    for _ in range(count):
        image.write_bytes(damaged(whole, rng))
        try:
            kind = load(image, None, "a" * 20, Platform(MEMORY, build(range(2)))).kind
        except ImageError as error:
            assert str(error).endswith(".")
            kind = "refused"
        seen[kind] = seen.get(kind, 0) + 1
    assert seen["Linux"] and seen["refused"]
