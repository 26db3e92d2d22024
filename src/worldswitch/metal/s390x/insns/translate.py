"""Translation of strings by tables, and checksums. ref: PoP chapter 7."""

from worldswitch.engine import (
    u8,
    u64,
)
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.strings import (
    UNIT,
    address_in,
    least,
    length_in,
    set_address,
    set_length,
    set_mark,
)
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import (
    PAGE_MASK,
    check_write,
    fetch_u8,
    store_u8,
)
from worldswitch.metal.s390x.regs import low
from worldswitch.metal.s390x.state import OP1, OP2, Cpu


@insn("TR", "DC", "SS_a", ref="PoP 7 TRANSLATE")
def tr(cpu: Cpu, l1: u8, addr1: u64, addr2: u64) -> None:
    """Replace each byte by the table's."""
    count = u64(l1) + 1
    check_write(cpu, OP1, addr1, count)
    i: u64 = 0
    if (addr2 ^ (addr2 + 255)) & PAGE_MASK != 0:
        # Every entry that is used is looked at before the first byte changes.
        while i < count:
            byte = fetch_u8(cpu, OP1, (addr1 + i) & cpu.address_mask)
            fetch_u8(cpu, OP2, (addr2 + u64(byte)) & cpu.address_mask)
            i += 1
        i = 0
    while i < count:
        at = (addr1 + i) & cpu.address_mask
        byte = fetch_u8(cpu, OP1, at)
        entry = fetch_u8(cpu, OP2, (addr2 + u64(byte)) & cpu.address_mask)
        store_u8(cpu, OP1, at, entry)
        i += 1


def _translate_and_test(mnemonic: str, opcode: str, backwards: bool) -> None:
    @insn(mnemonic, opcode, "SS_a", ref=f"PoP 7 {mnemonic}")
    def test(cpu: Cpu, l1: u8, addr1: u64, addr2: u64) -> None:
        """Find the first byte whose table entry is not zero."""
        count = u64(l1) + 1
        i: u64 = 0
        while i < count:
            if backwards:
                at = (addr1 - i) & cpu.address_mask
            else:
                at = (addr1 + i) & cpu.address_mask
            byte = fetch_u8(cpu, OP1, at)
            entry = fetch_u8(cpu, OP2, (addr2 + u64(byte)) & cpu.address_mask)
            if entry != 0:
                set_mark(cpu, 1, at)
                cpu.gr[2] = (cpu.gr[2] & 0xFFFF_FFFF_FFFF_FF00) | u64(entry)
                cpu.cc = 2 if i + 1 == count else 1
                return
            i += 1
        cpu.cc = 0


_translate_and_test("TRT", "DD", False)
_translate_and_test("TRTR", "D0", True)


@insn("TRE", "B2A5", "RRE", ref="PoP 7 TRANSLATE EXTENDED", access_registers=("r1", "r2"))
def tre(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Translate until the test byte or the end."""
    if r1 & 1 != 0:
        specification(cpu)
    stop = u8(cpu.gr[0])
    at = address_in(cpu, r1)
    count = length_in(cpu, r1 + 1)
    table = address_in(cpu, r2)
    n: u64 = 0
    cc: u64 = 0
    while count != 0 and cc == 0 and n < UNIT:
        byte = fetch_u8(cpu, OP1, at)
        if byte == stop:
            cc = 1
        else:
            store_u8(cpu, OP1, at, fetch_u8(cpu, OP2, (table + u64(byte)) & cpu.address_mask))
            at = (at + 1) & cpu.address_mask
            count -= 1
        n += 1
    set_address(cpu, r1, at)
    set_length(cpu, r1 + 1, count)
    cpu.cc = 3 if cc == 0 and count != 0 else cc


@insn("CKSM", "B241", "RRE", ref="PoP 7 CHECKSUM", access_registers=("r1", "r2"))
def cksm(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Add words with end-around carry; the last one padded with zeros."""
    if r2 & 1 != 0:
        specification(cpu)
    at = address_in(cpu, r2)
    count = length_in(cpu, r2 + 1)
    total = u64(low(cpu, r1))
    n: u64 = 0
    while count != 0 and n < 1024:
        word: u64 = 0
        taken: u64 = 0
        while taken < 4:
            word = word << 8
            if taken < count:
                word = word | u64(fetch_u8(cpu, OP2, (at + taken) & cpu.address_mask))
            taken += 1
        total = total + word
        total = (total & 0xFFFF_FFFF) + (total >> 32)
        used = least(count, u64(4))
        at = (at + used) & cpu.address_mask
        count -= used
        n += 1
    cpu.gr[r1] = (cpu.gr[r1] & 0xFFFF_FFFF_0000_0000) | total
    set_address(cpu, r2, at)
    set_length(cpu, r2 + 1, count)
    cpu.cc = 3 if count != 0 else 0
