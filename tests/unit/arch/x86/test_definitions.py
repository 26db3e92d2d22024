"""Registers, segments, exceptions, paging, MSRs, permission maps and the APIC."""

import pytest

from worldswitch.arch.x86.apic import ApicRegister, x2apic_logical_id, x2apic_msr, x2apic_offset
from worldswitch.arch.x86.exceptions import EXCEPTIONS, FaultClass, Vector
from worldswitch.arch.x86.msrs import Msr, msr_name
from worldswitch.arch.x86.paging import (
    FORMS,
    LEGACY,
    LONG_4,
    LONG_5,
    PAE,
    canonical,
    is_canonical,
    reserved_address_bits,
)
from worldswitch.arch.x86.permission_maps import (
    IOPM_LAST,
    IOPM_SIZE,
    MSRPM_SIZE,
    READ,
    WRITE,
    iopm_bits,
    msr_at,
    msrpm_bit,
)
from worldswitch.arch.x86.registers import PAT_RESET, MemoryType, pat_entry, pat_value
from worldswitch.arch.x86.segments import (
    descriptor_attributes,
    descriptor_base,
    descriptor_limit,
    packed_attributes,
)


def test_descriptor_taken_apart_has_base_limit_and_attributes() -> None:
    flat_code64 = 0x00AF_9B00_0000_FFFF
    assert packed_attributes(flat_code64) == 0xA9B
    assert descriptor_attributes(0xA9B) == 0x00A0_9B00_0000_0000
    assert descriptor_limit(flat_code64) == 0xFFFF_FFFF
    other = 0x1240_9334_5678_9ABC
    assert (descriptor_base(other), descriptor_limit(other)) == (0x1234_5678, 0x9ABC)


def test_pat_of_reset_is_made_of_its_types() -> None:
    types = (MemoryType.WB, MemoryType.WT, MemoryType.UC_MINUS, MemoryType.UC)
    assert pat_value(*types, *types) == PAT_RESET
    assert [pat_entry(PAT_RESET, n) for n in range(4)] == [6, 4, 7, 0]
    with pytest.raises(ValueError, match="eight"):
        pat_value(*types)


def test_exceptions_have_error_codes_and_classes() -> None:
    assert EXCEPTIONS.keys() == set(Vector)
    pushing = {vector.name for vector, info in EXCEPTIONS.items() if info.error_code}
    assert pushing == {"DF", "TS", "NP", "SS", "GP", "PF", "AC", "CP", "VC", "SX"}
    contributory = {
        vector.name
        for vector, info in EXCEPTIONS.items()
        if info.fault_class == FaultClass.CONTRIBUTORY
    }
    assert contributory == {"DE", "TS", "NP", "SS", "GP", "CP", "VC", "SX"}
    assert all(info.ref.startswith("APM2 8.2.") for info in EXCEPTIONS.values())


def test_paging_levels_follow_each_other() -> None:
    assert [form.linear_bits for form in FORMS] == [32, 32, 48, 57]
    for form in FORMS:
        for upper, lower in zip(form.levels, form.levels[1:], strict=False):
            assert upper.shift == lower.shift + lower.bits
        assert form.levels[-1].page_size == 4096
        for level in form.levels[-2 if form is not PAE else -1 :]:
            assert form.entry_size << level.bits == 4096
    assert [level.large for level in LONG_4.levels] == [False, True, True, False]
    assert [level.index(0xFFFF_8123_4567_8000) for level in LONG_4.levels] == [258, 141, 43, 120]
    assert LONG_5.levels[1:] == LONG_4.levels
    assert LEGACY.levels[0].page_size == 4 << 20


@pytest.mark.parametrize(
    ("bits", "no_execute", "long_mode", "expected"),
    [
        (52, True, True, 0),
        (40, True, True, 0x000F_FF00_0000_0000),
        (40, False, True, 0x800F_FF00_0000_0000),
        (36, True, False, 0x7FFF_FFF0_0000_0000),
    ],
)
def test_reserved_bits_of_entries(
    bits: int, no_execute: bool, long_mode: bool, expected: int
) -> None:
    assert reserved_address_bits(bits, no_execute=no_execute, long_mode=long_mode) == expected


def test_canonical_address_is_extended_by_its_sign() -> None:
    assert canonical(0x0000_8000_0000_0000) == 0xFFFF_8000_0000_0000
    assert canonical(0x1234_7FFF_0000_0000) == 0x0000_7FFF_0000_0000
    assert is_canonical(0xFFFF_8000_0000_0000) and not is_canonical(1 << 47)
    assert is_canonical(1 << 47, 57) and not is_canonical(1 << 56, 57)


@pytest.mark.parametrize(
    ("msr", "access", "place"),
    [
        (0x0, READ, (0x000, 0x01)),
        (Msr.SYSENTER_CS, WRITE, (0x05D, 0x02)),
        (0x1FFF, WRITE, (0x7FF, 0x80)),
        (Msr.EFER, READ, (0x820, 0x01)),
        (Msr.KERNEL_GS_BASE, WRITE, (0x840, 0x20)),
        (0xC000_1FFF, WRITE, (0xFFF, 0x80)),
        (Msr.VM_HSAVE_PA, READ, (0x1045, 0x40)),
        (0xC001_1FFF, WRITE, (0x17FF, 0x80)),
    ],
)
def test_msr_has_its_bit_in_the_map(msr: int, access: int, place: tuple[int, int]) -> None:
    assert msrpm_bit(msr, access) == place
    assert msr_at(*place) == (msr, access)
    assert place[0] < MSRPM_SIZE


@pytest.mark.parametrize("msr", [0x2000, 0xBFFF_FFFF, 0xC000_2000, 0xC001_2000, 0xFFFF_FFFF])
def test_msr_outside_the_map_has_no_bit(msr: int) -> None:
    assert msrpm_bit(msr, READ) is None


def test_bit_of_the_reserved_part_is_no_msr() -> None:
    assert msr_at(0x1800, 1) is None


def test_port_access_tests_a_bit_for_each_byte() -> None:
    assert list(iopm_bits(0x3F8, 1)) == [(0x7F, 0x01)]
    assert list(iopm_bits(0x1F, 2)) == [(0x03, 0x80), (0x04, 0x01)]
    assert list(iopm_bits(0xFFFF, 4))[-1] == (IOPM_LAST, 0x04)
    assert IOPM_LAST < IOPM_SIZE


def test_msr_named_or_in_hexadecimal() -> None:
    assert msr_name(0xC000_0080) == "EFER"
    assert msr_name(0x1234_5678) == "0x12345678"


def test_x2apic_register_has_its_msr() -> None:
    assert x2apic_msr(ApicRegister.ICR_LOW) == 0x830
    assert x2apic_msr(ApicRegister.SELF_IPI) == 0x83F
    assert x2apic_offset(0x808) == ApicRegister.TPR
    assert x2apic_logical_id(0x25) == 0x0002_0020
