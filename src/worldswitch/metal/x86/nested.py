"""Nested paging: from a guest's physical addresses to the host's. ref: APM2 15.25

Tables have the host's form of paging, and every access to them counts as one of a user; reads of
a guest's own page tables count as writes, as accessed bits are written there.
"""

from worldswitch.arch.x86.paging import ADDRESS, Pte
from worldswitch.arch.x86.registers import Cr4, Efer
from worldswitch.arch.x86.svm_exits import NpfInfo, SvmExit
from worldswitch.engine import peek_u32, peek_u64, poke_u32, poke_u64, typed, u32, u64
from worldswitch.metal.x86.codecache import code_written
from worldswitch.metal.x86.leave import vmexit
from worldswitch.metal.x86.mode import PAGE
from worldswitch.metal.x86.physical import is_memory, read_device
from worldswitch.metal.x86.state import Cpu

WRITE = 1
FETCH = 2
USER = 4
AC = 8
"""How an access is made; bits of a walk's parameter."""
TABLE_ACCESS = 16
"""For nested walks: an access to a page table of the guest."""
UPPER_RESERVED = 0x7FF << 52
"""Reserved outside of long mode."""
POINTER_RESERVED = UPPER_RESERVED | int(Pte.NX) | 0x1E6
"""In a page-directory pointer of PAE paging. ref: APM2 5.2.2"""


@typed(leaves=True, inline=False)
def nested_fault(cpu: Cpu, address: u64, access: u64, bits: u64) -> None:
    """#VMEXIT(NPF) with the guest's physical address. ref: APM2 15.25.6"""
    info = bits | NpfInfo.US
    if access & WRITE != 0:
        info = info | NpfInfo.RW
    if access & FETCH != 0:
        info = info | NpfInfo.ID
    if access & TABLE_ACCESS != 0:
        info = info | NpfInfo.GUEST_TABLE
    else:
        info = info | NpfInfo.FINAL
    vmexit(cpu, SvmExit.NPF, info, address)


@typed
def read_nested_entry(cpu: Cpu, where: u64, size: u64) -> u64:
    """An entry of a nested table, at a physical address of the host."""
    if not is_memory(cpu, where):
        return read_device(cpu, where, size)
    if size == 4:
        return u64(peek_u32(cpu.ram + where))
    return peek_u64(cpu.ram + where)


@typed(inline=False)
def mark_nested_entry(cpu: Cpu, where: u64, size: u64, value: u64) -> None:
    """Store an entry with its accessed and dirty bits."""
    if not is_memory(cpu, where):
        return
    if peek_u64(cpu.code_map + ((where & PAGE) >> 9)) != 0:
        code_written(cpu, where, size)
    if size == 4:
        poke_u32(cpu.ram + where, u32(value))
    else:
        poke_u64(cpu.ram + where, value)


@typed
def host_form(cpu: Cpu) -> tuple[u64, u64]:
    """Form of the nested tables: (shift of the top level's index, bytes of an entry)."""
    if cpu.host_efer & Efer.LMA != 0:
        if cpu.host_cr4 & Cr4.LA57 != 0:
            return u64(48), u64(8)
        return u64(39), u64(8)
    if cpu.host_cr4 & Cr4.PAE != 0:
        return u64(30), u64(8)
    return u64(22), u64(4)


@typed
def span_of(shift: u64) -> u64:
    """Bytes that an entry of a level spans, less one."""
    return (u64(1) << shift) - 1


@typed(leaves=True, inline=False)
def nested_walk(cpu: Cpu, address: u64, access: u64) -> tuple[u64, bool]:
    """Translate by the tables of nCR3: (physical address, writes may be cached)."""
    shift, size = host_form(cpu)
    long = cpu.host_efer & Efer.LMA != 0
    reserved = ~cpu.physical_mask & ADDRESS
    if not long:
        reserved = reserved | UPPER_RESERVED
    if cpu.host_efer & Efer.NXE == 0:
        reserved = reserved | Pte.NX
    index_mask: u64 = 0x1FF
    table = cpu.nested_cr3 & cpu.physical_mask & PAGE
    if size == 4:
        reserved = 0
        index_mask = 0x3FF
        table = table & 0xFFFF_FFFF
    # Addresses that the form of paging does not reach are mapped by nothing.
    top = shift + 9
    if not long:
        top = 32
    if address >> top != 0:
        nested_fault(cpu, address, access, 0)
    rights: u64 = Pte.US | Pte.RW
    never: u64 = 0
    if shift == 30 and not long:
        where = (cpu.nested_cr3 & 0xFFFF_FFE0) + (address >> 30) * 8
        pointer = read_nested_entry(cpu, where, 8)
        if pointer & Pte.P == 0:
            nested_fault(cpu, address, access, 0)
        if pointer & (POINTER_RESERVED | (~cpu.physical_mask & ADDRESS)) != 0:
            nested_fault(cpu, address, access, NpfInfo.P | NpfInfo.RSV)
        table = pointer & cpu.physical_mask & PAGE
        shift = 21
    at: u64 = 0
    entry: u64 = 0
    going = True
    while going:
        at = table + ((address >> shift) & index_mask) * size
        entry = read_nested_entry(cpu, at, size)
        if entry & Pte.P == 0:
            nested_fault(cpu, address, access, 0)
        if entry & reserved != 0:
            nested_fault(cpu, address, access, NpfInfo.P | NpfInfo.RSV)
        rights = rights & entry
        never = never | (entry & Pte.NX)
        if shift == 12:
            going = False
        elif entry & Pte.PS != 0 and (size == 8 or cpu.host_cr4 & Cr4.PSE != 0):
            wrong = shift > 30
            if size == 8 and entry & (span_of(shift) & ~u64(0x1FFF)) != 0:
                wrong = True
            if size == 4 and entry & 0x20_0000 != 0:
                wrong = True
            if wrong:
                nested_fault(cpu, address, access, NpfInfo.P | NpfInfo.RSV)
            going = False
        else:
            if entry & Pte.A == 0:
                mark_nested_entry(cpu, at, size, entry | Pte.A)
            table = entry & cpu.physical_mask & PAGE
            shift = shift - 9
            if size == 4:
                shift = 12
                table = table & 0xFFFF_FFFF
    allowed = rights & Pte.US != 0
    if access & WRITE != 0 and rights & Pte.RW == 0:
        allowed = False
    if access & FETCH != 0 and never != 0 and size == 8:
        allowed = False
    if not allowed:
        nested_fault(cpu, address, access, NpfInfo.P)
    marked = entry | Pte.A
    if access & WRITE != 0:
        marked = marked | Pte.D
    if marked != entry:
        mark_nested_entry(cpu, at, size, marked)
    span = span_of(shift)
    base = entry & cpu.physical_mask & PAGE & ~span
    if size == 4:
        base = base & 0xFFFF_FFFF
        if shift == 22:
            base = (base & 0xFFC0_0000) | (((entry >> 13) & 0xFF) << 32)
    return base | (address & span), rights & Pte.RW != 0 and marked & Pte.D != 0
