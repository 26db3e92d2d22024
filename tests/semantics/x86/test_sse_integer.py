"""Moves and packed integers of MMX and SSE: as the host's processor, compiled and in Python."""

import pytest

from tests.semantics.x86.vector_bench import compare, forms

ENGINES = [("native", 10), ("python", 1)]

MOVES = (
    forms(
        "0f28 0f29 660f28 660f29 660f6f 660f7f 0f10 0f11 660f10 660f11 f30f6f f30f7f "
        "f20f10 f20f11 f30f10 f30f11 660f6e 660f7e f30f7e 660fd6 0f6f 0f7f 0f6e 0f7e "
        "0f12 0f16 f20f12 f30f12 f30f16 66480f6e 66480f7e 480f6e 480f7e"
    )
    | forms(
        "f20ff0 0f2b 660f2b 660fe7 660f382a 0f13 0f17 660f12 660f13 660f16 660f17 0fe7", kinds="m"
    )
    | forms("0f50 660f50 f30fd6 f20fd6 660ff7 0ff7 0fd7 660fd7", kinds="r")
    | {
        "load not aligned": bytes.fromhex("0f104f03"),
        "store not aligned": bytes.fromhex("0f114f03"),
        "upper registers": bytes.fromhex("450f28ca"),
        "emms": bytes.fromhex("0f77"),
    }
)
OF_BOTH = (
    "60 61 62 63 64 65 66 67 68 69 6a 6b 74 75 76 d1 d2 d3 d4 d5 d8 d9 da db dc dd de df e0 e1 e2 "
    "e3 e4 e5 e8 e9 ea eb ec ed ee ef f1 f2 f3 f4 f5 f6 f8 f9 fa fb fc fd fe 14 15 54 55 56 57 "
    "3800 3801 3802 3803 3804 3805 3806 3807 3808 3809 380a 380b 381c 381d 381e "
)
OF_SSE = (
    "6c 6d 3810 3814 3815 3817 3820 3821 3822 3823 3824 3825 3828 3829 382b 3830 3831 3832 3833 "
    "3834 3835 3837 3838 3839 383a 383b 383c 383d 383e 383f 3840 3841"
)
PACKED = forms(" ".join(f"0f{x}" for x in OF_BOTH.split())) | forms(
    " ".join(f"660f{x}" for x in (OF_BOTH + OF_SSE).split())
)
IMMEDIATES = (0, 1, 2, 3, 5, 7, 8, 0x1B, 0x55, 0x9C, 0xE4, 0xFF, 0x10, 0x1F, 17, 33, 0xB1, 0xC8)
WITH_IMMEDIATE = forms(
    "0f70 660f70 f20f70 f30f70 0fc6 660fc6 0f3a0f 660f3a0f 660f3a0c 660f3a0d 660f3a0e "
    "660f3a21 660f3a42 0fc4 660fc4 660f3a14 660f3a15 660f3a16 66480f3a16 660f3a17 "
    "660f3a20 660f3a22 66480f3a22",
    immediates=IMMEDIATES,
) | forms("0fc5 660fc5", kinds="r", immediates=IMMEDIATES)
SHIFTS = {
    f"{prefix}0f{opcode} /{digit} {count}": bytes.fromhex(f"{prefix}0f{opcode}")
    + bytes([0xC2 | digit << 3, count])
    for opcode, digits in (("71", (2, 4, 6)), ("72", (2, 4, 6)), ("73", (2, 3, 6, 7)))
    for digit in digits
    for prefix in ("", "66")
    if prefix or digit not in (3, 7)
    for count in (0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 200)
}


@pytest.mark.parametrize(("engine", "rounds"), ENGINES)
@pytest.mark.parametrize(
    "programs",
    [MOVES, PACKED, WITH_IMMEDIATE, SHIFTS],
    ids=["moves", "packed", "immediate", "shifts"],
)
def test_vector_instruction_random_operands_like_host(engine, rounds, programs):
    assert compare(engine, programs, rounds) == []
