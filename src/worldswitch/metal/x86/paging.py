"""From linear to physical addresses: the walk of page tables, permissions, and the TLB.

ref: APM2 5 Page Translation and Protection
"""

from worldswitch.arch.x86.exceptions import PageFaultError, Vector
from worldswitch.arch.x86.paging import ADDRESS, PKEY_MASK, PKEY_SHIFT, Pte
from worldswitch.arch.x86.registers import Cr0, Cr4, Efer
from worldswitch.engine import (
    peek_u8,
    peek_u32,
    peek_u64,
    poke_u8,
    poke_u32,
    poke_u64,
    typed,
    u8,
    u32,
    u64,
)
from worldswitch.metal.x86.codecache import code_written
from worldswitch.metal.x86.leave import fault, fault_with
from worldswitch.metal.x86.mode import INVALID_KEY, PAGE
from worldswitch.metal.x86.nested import (
    AC,
    FETCH,
    POINTER_RESERVED,
    TABLE_ACCESS,
    USER,
    WRITE,
    nested_walk,
)
from worldswitch.metal.x86.physical import is_memory, read_device, write_device
from worldswitch.metal.x86.state import (
    CS,
    ENTRY_GLOBAL,
    ENTRY_HUGE,
    ENTRY_LARGE,
    FLAT_STACK,
    SS,
    SUPERVISOR_DATA_AC,
    TLB_SIZE,
    USER_CODE,
    USER_DATA,
    USER_DATA_ALIGNED,
    Cpu,
)

RESERVED_NX = int(Pte.NX)
PAGE_2M = 0x1F_F000
PAGE_1G = 0x3FFF_F000
PAGE_4M = 0x3F_F000


@typed(leaves=True, inline=False)
def page_fault(cpu: Cpu, address: u64, access: u64, bits: u64) -> None:
    """#PF: CR2 gets the address. ref: APM2 8.4.2"""
    error = bits
    if access & WRITE != 0:
        error = error | PageFaultError.RW
    if access & USER != 0:
        error = error | PageFaultError.US
    if (access & FETCH != 0 and cpu.efer & Efer.NXE != 0) or (
        access & FETCH != 0 and cpu.cr4 & Cr4.SMEP != 0
    ):
        error = error | PageFaultError.ID
    cpu.fault_address = address
    fault_with(cpu, Vector.PF, u32(error))


@typed(leaves=True)
def table_frame(cpu: Cpu, physical: u64, write: bool) -> u64:
    """Physical address, as the metal's own memory has it, of an entry of a guest's page table."""
    if cpu.nested != 0:
        access: u64 = TABLE_ACCESS | USER
        if write:
            access = access | WRITE
        found, _writable = nested_walk(cpu, physical, access)
        return found
    return physical


@typed(leaves=True, inline=False)
def read_entry(cpu: Cpu, where: u64, size: u64) -> u64:
    """A page-table entry of 4 or 8 bytes; what lies outside of memory reads as a device says."""
    at = table_frame(cpu, where, cpu.nested != 0)
    if not is_memory(cpu, at):
        return read_device(cpu, at, size)
    if size == 4:
        return u64(peek_u32(cpu.ram + at))
    return peek_u64(cpu.ram + at)


@typed(leaves=True, inline=False)
def mark_entry(cpu: Cpu, where: u64, size: u64, value: u64) -> None:
    """Store an entry with its accessed and dirty bits."""
    at = table_frame(cpu, where, True)
    if not is_memory(cpu, at):
        return
    if peek_u64(cpu.code_map + ((at & PAGE) >> 9)) != 0:
        code_written(cpu, at, size)
    if size == 4:
        poke_u32(cpu.ram + at, u32(value))
    else:
        poke_u64(cpu.ram + at, value)


@typed(leaves=True, inline=False)
def walk(cpu: Cpu, address: u64, access: u64) -> tuple[u64, u64, bool]:
    """Translate by the tables of CR3: (physical address, ENTRY_* bits, writes may be cached).

    Raises #PF. Sets accessed bits, and the dirty bit for a write. ref: APM2 5.6 Page-Protection
    """
    long = cpu.efer & Efer.LMA != 0
    pae = cpu.cr4 & Cr4.PAE != 0
    size: u64 = 8
    shift: u64 = 39
    if not long:
        shift = 21
        if not pae:
            size = 4
            shift = 22
    elif cpu.cr4 & Cr4.LA57 != 0:
        shift = 48
    index_mask: u64 = 0x1FF
    if size == 4:
        index_mask = 0x3FF
    table = cpu.cr3 & cpu.physical_mask & PAGE
    user: u64 = Pte.US
    writable: u64 = Pte.RW
    never: u64 = 0
    reserved = ~cpu.physical_mask & ADDRESS
    if not long:
        reserved = reserved | (u64(0x7FF) << 52)
        table = table & 0xFFFF_FFFF
        if pae:
            pointer = cpu.pdpte[(address >> 30) & 3]
            if cpu.nested != 0:
                # Not loaded with CR3, but read when they are needed. ref: APM2 15.25.10
                pointer = read_entry(cpu, (cpu.cr3 & 0xFFFF_FFE0) + ((address >> 30) & 3) * 8, 8)
            if pointer & Pte.P == 0:
                page_fault(cpu, address, access, 0)
            if pointer & (POINTER_RESERVED | (~cpu.physical_mask & ADDRESS)) != 0:
                page_fault(cpu, address, access, PageFaultError.P | PageFaultError.RSV)
            table = pointer & cpu.physical_mask & PAGE
    if cpu.efer & Efer.NXE == 0:
        reserved = reserved | RESERVED_NX
    if size == 4:
        reserved = 0
    going = True
    where: u64 = 0
    entry: u64 = 0
    kind: u64 = 0
    span: u64 = 0xFFF
    while going:
        where = table + ((address >> shift) & index_mask) * size
        entry = read_entry(cpu, where, size)
        if entry & Pte.P == 0:
            page_fault(cpu, address, access, 0)
        if entry & reserved != 0:
            page_fault(cpu, address, access, PageFaultError.P | PageFaultError.RSV)
        user = user & entry
        writable = writable & entry
        never = never | (entry & Pte.NX)
        if shift == 12:
            going = False
        elif entry & Pte.PS != 0 and (size == 8 or cpu.cr4 & Cr4.PSE != 0):
            if shift == 21:
                kind = ENTRY_LARGE
                span = 0x1F_FFFF
                if entry & 0x1F_E000 != 0:
                    page_fault(cpu, address, access, PageFaultError.P | PageFaultError.RSV)
            elif shift == 22:
                kind = ENTRY_LARGE
                span = 0x3F_FFFF
                if entry & 0x20_0000 != 0:
                    page_fault(cpu, address, access, PageFaultError.P | PageFaultError.RSV)
            elif shift == 30:
                kind = ENTRY_HUGE
                span = 0x3FFF_FFFF
                if entry & 0x3FFF_E000 != 0:
                    page_fault(cpu, address, access, PageFaultError.P | PageFaultError.RSV)
            else:
                page_fault(cpu, address, access, PageFaultError.P | PageFaultError.RSV)
            going = False
        else:
            if entry & Pte.A == 0:
                mark_entry(cpu, where, size, entry | Pte.A)
            table = entry & cpu.physical_mask & PAGE
            shift = shift - 9
            if size == 4:
                shift = 12
    allowed, cached = permitted(cpu, access, user != 0, writable != 0, never != 0)
    key: u64 = 0
    if long and user != 0 and cpu.cr4 & Cr4.PKE != 0 and access & FETCH == 0:
        key = (entry >> PKEY_SHIFT) & PKEY_MASK
        rights = (u64(cpu.pkru) >> (key * 2)) & 3
        if rights & 2 != 0 and (access & USER != 0 or cpu.cr0 & Cr0.WP != 0):
            cached = False
            if access & WRITE != 0 and allowed:
                page_fault(cpu, address, access, PageFaultError.P | PageFaultError.PK)
        if rights & 1 != 0 and allowed:
            page_fault(cpu, address, access, PageFaultError.P | PageFaultError.PK)
    if not allowed:
        page_fault(cpu, address, access, PageFaultError.P)
    marked = entry | Pte.A
    if access & WRITE != 0:
        marked = marked | Pte.D
    if marked != entry:
        mark_entry(cpu, where, size, marked)
    if entry & Pte.G != 0 and cpu.cr4 & Cr4.PGE != 0:
        kind = kind | ENTRY_GLOBAL
    base = entry & cpu.physical_mask & PAGE & ~span
    if size == 4:
        base = base & 0xFFFF_FFFF
        if span != 0xFFF:
            base = (base & 0xFFC0_0000) | (((entry >> 13) & 0xFF) << 32)
    return base | (address & span), kind, cached and marked & Pte.D != 0


@typed
def permitted(
    cpu: Cpu, access: u64, user: bool, writable: bool, never: bool
) -> tuple[bool, bool]:  # fmt: skip
    """Whether the page's rights allow an access, and whether they allow the same for writing."""
    write = writable
    if access & USER != 0:
        if not user:
            return False, False
    else:
        if cpu.cr0 & Cr0.WP == 0:
            write = True
        if user:
            if access & FETCH != 0:
                if cpu.cr4 & Cr4.SMEP != 0:
                    return False, False
            elif cpu.cr4 & Cr4.SMAP != 0 and access & AC == 0:
                return False, False
    if access & FETCH != 0 and never:
        return False, False
    if access & WRITE != 0 and not write:
        return False, False
    return True, write


@typed
def canonical(cpu: Cpu, address: u64) -> bool:
    """Whether the bits above the linear-address width are copies of its highest."""
    above = address >> (u64(cpu.linear_bits) - 1)
    if cpu.linear_bits == 48:
        return above == 0 or above == 0x1_FFFF
    return above == 0 or above == 0x7F


@typed(leaves=True, inline=False)
def resolve(cpu: Cpu, context: u64, seg: u64, address: u64, write: bool) -> tuple[u64, bool]:
    """Translate one address: (physical address in the metal's memory, writes may be cached).

    Raises #PF, #GP(0) or #SS(0) for an address that is not canonical, or a nested page fault.
    """
    kind = context & 7
    access: u64 = 0
    if write:
        access = WRITE
    if kind == USER_DATA or kind == USER_DATA_ALIGNED:
        access = access | USER
    elif kind == USER_CODE:
        access = access | USER | FETCH
    elif kind == SUPERVISOR_DATA_AC:
        access = access | AC
    elif kind > SUPERVISOR_DATA_AC:
        access = access | FETCH
    physical = address
    writable = True
    flags: u64 = 0
    if cpu.cr0 & Cr0.PG != 0:
        if cpu.efer & Efer.LMA != 0 and not canonical(cpu, address):
            if seg == SS or seg == FLAT_STACK:
                fault_with(cpu, Vector.SS, 0)
            fault_with(cpu, Vector.GP, 0)
        physical, flags, writable = walk(cpu, address, access)
    if cpu.nested != 0:
        physical, nested_writable = nested_walk(cpu, physical, access | USER)
        writable = writable and nested_writable
    cpu.entry_flags = flags
    return physical, writable


@typed(inline=False)
def fill(cpu: Cpu, context: u64, address: u64, physical: u64, write: bool, writable: bool) -> None:
    """Enter a translation into the TLB, for writing only where every write may go straight on."""
    if context & 7 == USER_DATA_ALIGNED:
        return
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    frame = physical & PAGE
    key = (address & PAGE) | context
    if entry.read_key != key or entry.absolute & PAGE != frame:
        entry.write_key = INVALID_KEY
    entry.read_key = key
    entry.absolute = frame | cpu.entry_flags
    entry.addend = cpu.ram + frame - (address & PAGE)
    if watched(cpu, address):
        entry.read_key = INVALID_KEY
        entry.write_key = INVALID_KEY
    elif write and writable and peek_u64(cpu.code_map + (frame >> 9)) == 0:
        entry.write_key = key


@typed
def watched(cpu: Cpu, address: u64) -> bool:
    """Whether a data breakpoint that is enabled lies in the page of an address."""
    if cpu.dr[7] & 0xFF == 0:
        return False
    n: u64 = 0
    while n < 4:
        if (cpu.dr[7] >> (n * 2)) & 3 != 0 and (cpu.dr[7] >> (16 + n * 4)) & 1 != 0:
            if (cpu.dr[n] ^ address) & PAGE == 0:
                return True
        n += 1
    return False


@typed(inline=False)
def note_watch(cpu: Cpu, address: u64, size: u64, write: bool) -> None:
    """A data access in a watched page: the breakpoints that it hits become a debug trap.

    ref: APM2 13.1.2 Setting Breakpoints
    """
    n: u64 = 0
    while n < 4:
        if (cpu.dr[7] >> (n * 2)) & 3 != 0:
            kind = (cpu.dr[7] >> (16 + n * 4)) & 3
            span = ((cpu.dr[7] >> (18 + n * 4)) & 3) + 1
            if span == 3:
                span = 8
            start = cpu.dr[n] & ~(span - 1)
            if (kind == 3 or (kind == 1 and write)) and address < start + span:
                if start < address + size:
                    cpu.dr6_pending = cpu.dr6_pending | (u64(1) << n)
                    cpu.check = 1
        n += 1


@typed(leaves=True, inline=False)
def fetch_host(cpu: Cpu, context: u64, address: u64) -> u64:
    """Physical address, in the metal's memory, of code at a linear address; fills the TLB.

    Code in device memory is not executed: it reads as all ones, whose first byte is #UD.
    UNMODELLED: instruction fetches from devices.
    """
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if entry.read_key == (address & PAGE) | context:
        return address + entry.addend - cpu.ram
    physical, _writable = resolve(cpu, context, CS, address, False)
    if not is_memory(cpu, physical):
        fault(cpu, Vector.UD)
    fill(cpu, context, address, physical, False, False)
    return physical


@typed(leaves=True, inline=False)
def read_slowly(cpu: Cpu, context: u64, seg: u64, address: u64, size: u64) -> u64:
    """Read 1, 2, 4 or 8 bytes within a page that the TLB does not have; fills it."""
    physical, writable = resolve(cpu, context, seg, address, False)
    if watched(cpu, address):
        note_watch(cpu, address, size, False)
    if not is_memory(cpu, physical):
        return read_device(cpu, physical, size)
    fill(cpu, context, address, physical, False, writable)
    at = cpu.ram + physical
    value: u64 = 0
    n: u64 = size
    while n != 0:
        n = n - 1
        value = (value << 8) | u64(peek_u8(at + n))
    return value


@typed(leaves=True, inline=False)
def write_slowly(cpu: Cpu, context: u64, seg: u64, address: u64, size: u64, value: u64) -> None:
    """Write within a page: fills the TLB and drops decoded code there."""
    physical, writable = resolve(cpu, context, seg, address, True)
    if watched(cpu, address):
        note_watch(cpu, address, size, True)
    if not is_memory(cpu, physical):
        write_device(cpu, physical, size, value)
        return
    if peek_u64(cpu.code_map + ((physical & PAGE) >> 9)) != 0:
        code_written(cpu, physical, size)
    fill(cpu, context, address, physical, True, writable)
    put_bytes(cpu.ram + physical, size, value)


@typed(leaves=True, inline=False)
def check_write(cpu: Cpu, context: u64, seg: u64, address: u64) -> u64:
    """Recognize the faults of a write to a byte, without writing; its physical address."""
    physical, _writable = resolve(cpu, context, seg, address, True)
    return physical


@typed(inline=False)
def put_bytes(host: u64, size: u64, value: u64) -> None:
    """Store the low `size` bytes of a value in host memory."""
    left = value
    n: u64 = 0
    while n < size:
        poke_u8(host + n, u8(left))
        left = left >> 8
        n += 1
