"""The PSW: fields, validity, and the short format."""

import pytest

from worldswitch.arch.s390x.psw import (
    Psw,
    PswMask,
    early_error,
    from_short,
    is_valid,
    to_short,
)

KERNEL = 0x0404_C001_8000_0000  # DAT, machine check, home space, 64-bit


def test_fields_of_a_kernel_psw() -> None:
    psw = Psw.new(mask=0x0704_C001_8000_0000, addr=0x1000)
    assert (psw.key, psw.address_space, psw.cc, psw.program_mask) == (0, 3, 0, 0)
    psw.cc, psw.key = 3, 0xF
    assert psw.mask == 0x07F4_F001_8000_0000


@pytest.mark.parametrize(
    ("mask", "addr", "words"),
    [
        (0x8000_0001_8000_0000, 0, "unassigned PSW mask bits 0x8000000000000000"),
        (0x0008_0001_8000_0000, 0, "unassigned PSW mask bits 0x0008000000000000"),
        (0x0000_0080_8000_0000, 0, "unassigned PSW mask bits 0x0000008000000000"),
        (0x0000_0000_8000_0001, 0, "unassigned PSW mask bits 0x0000000000000001"),
        (0x0000_0001_0000_0000, 0, "extended addressing (bit 31) is one"),
        (0x0000_0000_8000_0000, 0x8000_0000, "does not fit in 31 bits"),
        (0, 0x100_0000, "does not fit in 24 bits"),
    ],
)
def test_invalid_psw_is_explained(mask: int, addr: int, words: str) -> None:
    message = early_error(mask, addr)
    assert message is not None and words in message
    assert not is_valid(mask, addr)


def test_valid_psw_has_no_error() -> None:
    assert early_error(KERNEL, (1 << 64) - 2) is None
    assert early_error(0x8000_0000, 0x7FFF_FFFE) is None
    assert early_error(PswMask.RI | 0x8000_0000, 0, runtime_instrumentation=True) is None


def test_odd_address_is_no_early_error_but_not_valid() -> None:
    assert early_error(KERNEL, 1) is None
    assert not is_valid(KERNEL, 1)


def test_short_psw_converts_both_ways() -> None:
    assert from_short(0x0008_0000_8001_0000) == (0x8000_0000, 0x1_0000)
    assert to_short(0x8000_0000, 0x1_0000) == 0x0008_0000_8001_0000
    assert from_short(0x000A_0000_0000_0FFF) == (int(PswMask.WAIT), 0xFFF)


def test_short_psw_with_bit_12_zero_is_refused() -> None:
    assert from_short(0x0000_0000_8001_0000) is None


def test_address_beyond_31_bits_has_no_short_form() -> None:
    with pytest.raises(ValueError, match="0x80000000 does not fit in a short PSW"):
        to_short(0x8000_0000, 0x8000_0000)
