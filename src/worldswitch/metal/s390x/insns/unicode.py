"""Conversions between the encodings of Unicode. ref: PoP 7 CONVERT UTF-8 TO UTF-16 and others.

R1 and R2 designate even-odd pairs: address and length in bytes of the result and the source.
"""

from worldswitch.engine import Typed, typed, u8, u16, u32, u64
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.strings import (
    address_in,
    even_pair,
    length_in,
    set_address,
    set_length,
)
from worldswitch.metal.s390x.memory import (
    check_write,
    fetch_u8,
    fetch_u16,
    fetch_u32,
    store_u8,
    store_u16,
    store_u32,
)
from worldswitch.metal.s390x.state import OP1, OP2, Cpu

EXTENDED_TRANSLATION_3 = 22
ETF3_ENHANCEMENT = 1 << (63 - 30)
"""Facility 30 in the first doubleword of the facility list."""
SOURCE_EXHAUSTED = 0
RESULT_FULL = 1
INVALID = 2
MORE = 3
CHARACTERS = 1024
"""As many are converted before the instruction ends with condition code 3."""
WELL_FORMED = 1
"""Bit 3 of M3: sequences that are not well-formed are invalid."""


@typed(inline=True)
def continues(byte: u32) -> bool:
    """Whether a byte is 10xxxxxx."""
    return byte & 0xC0 == 0x80


@typed(leaves=True)
def continuation(cpu: Cpu, at: u64) -> u32:
    """A further byte of a UTF-8 character."""
    return u32(fetch_u8(cpu, OP2, at & cpu.address_mask))


@typed(leaves=True, inline=False)
def read_8(cpu: Cpu, at: u64, count: u64, strict: bool) -> tuple[u64, u32, u64]:
    """A UTF-8 character of the source: (MORE if there is one, its value, its size)."""
    first = u32(fetch_u8(cpu, OP2, at))
    if first < 0x80:
        return MORE, first, 1
    if first < 0xC0 or first > 0xF7 or (strict and (first < 0xC2 or first > 0xF4)):
        return INVALID, u32(0), 0
    size: u64 = 2
    if first >= 0xF0:
        size = 4
    elif first >= 0xE0:
        size = 3
    if count < size:
        return SOURCE_EXHAUSTED, u32(0), 0
    b = continuation(cpu, at + 1)
    well = continues(b)
    if size == 2:
        value = ((first & 0x1F) << 6) | (b & 0x3F)
    else:
        c = continuation(cpu, at + 2)
        well = well and continues(c)
        if size == 3:
            value = ((first & 0xF) << 12) | ((b & 0x3F) << 6) | (c & 0x3F)
            well = well and value >= 0x800 and (value < 0xD800 or value > 0xDFFF)
        else:
            d = continuation(cpu, at + 3)
            value = ((first & 7) << 18) | ((b & 0x3F) << 12) | ((c & 0x3F) << 6) | (d & 0x3F)
            well = well and continues(d) and value >= 0x1_0000 and value <= 0x10_FFFF
    if strict and not well:
        return INVALID, u32(0), 0
    return MORE, value, size


@typed(leaves=True, inline=False)
def read_16(cpu: Cpu, at: u64, count: u64, strict: bool) -> tuple[u64, u32, u64]:
    """A UTF-16 character of the source."""
    if count < 2:
        return SOURCE_EXHAUSTED, u32(0), 0
    high = u32(fetch_u16(cpu, OP2, at))
    if high & 0xFC00 != 0xD800:
        return MORE, high, 2
    if count < 4:
        return SOURCE_EXHAUSTED, u32(0), 0
    low = u32(fetch_u16(cpu, OP2, (at + 2) & cpu.address_mask))
    if strict and low & 0xFC00 != 0xDC00:
        return INVALID, u32(0), 0
    return MORE, 0x1_0000 + ((high & 0x3FF) << 10) + (low & 0x3FF), 4


@typed(leaves=True, inline=False)
def read_32(cpu: Cpu, at: u64, count: u64, strict: bool) -> tuple[u64, u32, u64]:
    """A UTF-32 character of the source; high surrogates are none."""
    if count < 4:
        return SOURCE_EXHAUSTED, u32(0), 0
    value = fetch_u32(cpu, OP2, at)
    if value > 0x10_FFFF or (value >= 0xD800 and value <= 0xDBFF):
        return INVALID, u32(0), 0
    return MORE, value, 4


@typed(leaves=True, inline=False)
def write_8(cpu: Cpu, at: u64, count: u64, value: u32) -> u64:
    """Store a character as UTF-8; its size, 0 if there is no room."""
    size: u64 = 1
    if value >= 0x1_0000:
        size = 4
    elif value >= 0x800:
        size = 3
    elif value >= 0x80:
        size = 2
    if count < size:
        return 0
    check_write(cpu, OP1, at, size)
    if size == 1:
        store_u8(cpu, OP1, at, u8(value))
        return 1
    lead: u32 = 0xC0
    if size == 3:
        lead = 0xE0
    elif size == 4:
        lead = 0xF0
    left = size - 1
    store_u8(cpu, OP1, at, u8(lead | (value >> (6 * u32(left)))))
    while left != 0:
        byte = u8(0x80 | ((value >> (6 * u32(left - 1))) & 0x3F))
        store_u8(cpu, OP1, (at + size - left) & cpu.address_mask, byte)
        left -= 1
    return size


@typed(leaves=True, inline=False)
def write_16(cpu: Cpu, at: u64, count: u64, value: u32) -> u64:
    """Store a character as UTF-16; its size, 0 if there is no room."""
    if value < 0x1_0000:
        if count < 2:
            return 0
        store_u16(cpu, OP1, at, u16(value))
        return 2
    if count < 4:
        return 0
    # The plane less one, in four bits: sequences above 10FFFF wrap.
    rest = value - 0x1_0000
    store_u32(cpu, OP1, at, 0xD800_DC00 | (((rest >> 10) & 0x3FF) << 16) | (rest & 0x3FF))
    return 4


@typed(leaves=True, inline=False)
def write_32(cpu: Cpu, at: u64, count: u64, value: u32) -> u64:
    """Store a character as UTF-32; its size, 0 if there is no room."""
    if count < 4:
        return 0
    store_u32(cpu, OP1, at, value)
    return 4


def _converter(name: str, read: Typed, write: Typed) -> Typed:
    @typed(leaves=True, inline=False, name=f"convert_{name.lower()}")
    def convert(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
        """Convert characters until the source or the result's room ends."""
        even_pair(cpu, r1, r2)
        strict = m3 & WELL_FORMED != 0 and cpu.facilities[0] & ETF3_ENHANCEMENT != 0
        to = address_in(cpu, r1)
        room = length_in(cpu, r1 + 1)
        source = address_in(cpu, r2)
        count = length_in(cpu, r2 + 1)
        done: u64 = 0
        state: u64 = MORE
        while state == MORE and done < CHARACTERS:
            if count == 0:
                state = SOURCE_EXHAUSTED
            else:
                state, value, size = read(cpu, source, count, strict)
                if state == MORE:
                    written = write(cpu, to, room, value)
                    if written == 0:
                        state = RESULT_FULL
                    else:
                        to = (to + written) & cpu.address_mask
                        room -= written
                        source = (source + size) & cpu.address_mask
                        count -= size
                        # A later character may meet an access exception: this one is done.
                        set_address(cpu, r1, to)
                        set_length(cpu, r1 + 1, room)
                        set_address(cpu, r2, source)
                        set_length(cpu, r2 + 1, count)
            done += 1
        cpu.cc = state

    return convert


def _conversions() -> None:
    for mnemonic, opcode, facility, read, write, ref in (
        ("CU12", "B2A7", None, read_8, write_16, "PoP 7 CONVERT UTF-8 TO UTF-16"),
        ("CU21", "B2A6", None, read_16, write_8, "PoP 7 CONVERT UTF-16 TO UTF-8"),
        ("CU14", "B9B0", EXTENDED_TRANSLATION_3, read_8, write_32, "PoP 7 CONVERT UTF-8 TO UTF-32"),
        ("CU24", "B9B1", EXTENDED_TRANSLATION_3, read_16, write_32,
         "PoP 7 CONVERT UTF-16 TO UTF-32"),
        ("CU41", "B9B2", EXTENDED_TRANSLATION_3, read_32, write_8, "PoP 7 CONVERT UTF-32 TO UTF-8"),
        ("CU42", "B9B3", EXTENDED_TRANSLATION_3, read_32, write_16,
         "PoP 7 CONVERT UTF-32 TO UTF-16"),
    ):  # fmt: skip
        convert = _converter(mnemonic, read, write)

        @insn(mnemonic, opcode, "RRF", ref=ref, facility=facility, access_registers=("r1", "r2"))
        def entry(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
            """Convert; condition codes 0 source exhausted, 1 no room, 2 invalid, 3 more."""
            convert(cpu, r1, r2, m3)


_conversions()
