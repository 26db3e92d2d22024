"""Damaged images of every kind: each is started, or refused in a sentence."""

import pytest

from tests.fuzz.pc_images import IMAGES
from tests.fuzz.test_processors import DAMAGE, outcomes

PROGRAM = "tests.fuzz.pc_images"


def test_damaged_images_start_or_are_refused_in_words() -> None:
    lines = outcomes(0, 120, 2000, PROGRAM)
    assert len(lines) == 120
    assert not [line for line in lines if any(word in line for word in DAMAGE)]
    for kind in IMAGES:
        assert any(kind in line and "refused" in line for line in lines), kind
        assert any(kind in line and "refused" not in line for line in lines), kind


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 4000, 100))
def test_thousands_of_damaged_images_start_or_are_refused_in_words(first: int) -> None:
    lines = outcomes(first, 100, 2000, PROGRAM)
    assert len(lines) == 100
    assert not [line for line in lines if any(word in line for word in DAMAGE)]
