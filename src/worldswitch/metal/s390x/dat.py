"""Dynamic address translation, prefixing and protection: the slow path of every access.

ref: PoP 3 Dynamic Address Translation, Protection, Prefixing, Storage Key.
"""

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.translation import (
    ASCE_ORIGIN,
    PAGE_FRAME,
    REGION_ORIGIN,
    SEGMENT_FRAME,
    SEGMENT_PAGE_TABLE,
    Asce,
    PageEntry,
    RegionEntry,
    SegmentEntry,
)
from worldswitch.engine import Leave, Struct, bswap, likely, peek_u64, typed, u8, u16, u32, u64
from worldswitch.metal.s390x.codecache import code_written
from worldswitch.metal.s390x.leave import LEAVE_HOST_FAULT, LEAVE_PROGRAM, program
from worldswitch.metal.s390x.mode import (
    CONTEXT_EDAT,
    CONTEXT_FETCH_OVERRIDE,
    CONTEXT_GUEST,
    CONTEXT_LOW_PROTECTION,
    CONTEXT_PER_STORE,
    CONTEXT_STORE_OVERRIDE,
    INVALID_KEY,
)
from worldswitch.metal.s390x.per import per_store
from worldswitch.metal.s390x.state import HOST_FRAMES, TLB_SIZE, Context, Cpu

PAGE = 0xFFFF_FFFF_FFFF_F000
OFFSET = 0xFFF
PROTECTED = 0x200
"""Protection bit of a page-table entry (and of segment and region entries with EDAT)."""
NO_ENTRY = 0xFFFF_FFFF_FFFF_FFFF
"""`Cpu.entry_address` when an index lies outside its table."""
KEY_FETCH = 0x08
KEY_REFERENCE = 0x04
KEY_CHANGE = 0x02
TEID_STORE = 0x400
"""Bits 52-53 of the translation-exception identification: 10 fetch is 0x800, store 0x400."""
TEID_FETCH = 0x800
TEID_DAT_PROTECTION = 0x4


class Byte(Struct):
    """A byte in host memory."""

    value: u8


@typed(inline=True)
def real_to_absolute(real: u64, prefix: u64) -> u64:
    """Prefixing: swap the first 8 KiB with the prefix area. ref: PoP 3 Prefixing."""
    if real & 0xFFFF_FFFF_FFFF_E000 == 0:
        return real | prefix
    if real & 0xFFFF_FFFF_FFFF_E000 == prefix:
        return real & 0x1FFF
    return real


@typed(inline=False)
def table_entry(cpu: Cpu, real: u64, guest: bool, prefix: u64) -> tuple[u16, u64]:
    """Fetch a table entry at a real address: (program code or 0, entry)."""
    cpu.entry_address = real & 0xFFFF_FFFF_FFFF_FFF8
    absolute = real_to_absolute(real & 0xFFFF_FFFF_FFFF_FFF8, prefix)
    if guest:
        code, absolute = guest_to_host(cpu, absolute, False)
        if code != 0:
            return code, u64(0)
    if absolute + 8 > cpu.ram_size or absolute + 8 < absolute:
        return u16(ProgramCode.ADDRESSING), u64(0)
    return u16(0), bswap(peek_u64(cpu.ram + absolute))


HOST_FAULT_FLAG = 0x8000
"""Marks a program code that belongs to the host's translation, not the guest's."""


@typed(inline=False)
def guest_to_host(cpu: Cpu, absolute: u64, write: bool) -> tuple[u16, u64]:
    """Guest absolute to host absolute, in SIE: extent check, origin, host translation.

    A host exception comes back with HOST_FAULT_FLAG; the host address is then in
    `cpu.host_fault_address`.
    """
    address = absolute + cpu.mso
    if address > cpu.msl or address < absolute:
        return u16(ProgramCode.ADDRESSING), u64(0)
    known = cpu.host_frames[(address >> 12) & (HOST_FRAMES - 1)]
    page = address & PAGE
    if likely(known.write_key == page or (not write and known.read_key == page)):
        return u16(0), known.absolute | (address & OFFSET)
    code, host, protected = walk(cpu, cpu.host_asce, address, True, False, cpu.host_prefix)
    if code == 0 and protected and write:
        code = u16(ProgramCode.PROTECTION)
    host = real_to_absolute(host, cpu.host_prefix)
    if code == 0 and host >= cpu.ram_size:
        code = u16(ProgramCode.ADDRESSING)
    if code == 0 and cpu.secure_owner != 0:
        code = secure_code(cpu, absolute, host)
    if code != 0:
        cpu.host_fault_address = address
        cpu.host_fault_store = 1 if write else 0
        return code | HOST_FAULT_FLAG, u64(0)
    if cpu.secure_owner == 0:
        known.read_key = page
        known.write_key = INVALID_KEY if protected else page
        known.absolute = host & PAGE
    return u16(0), host


SECURE_SHARED = 0x8000
"""Added to a frame's owner if the guest shares the frame with the host."""
SECURE_ACCESS = int(ProgramCode.SECURE_STORAGE_ACCESS)
NON_SECURE_ACCESS = int(ProgramCode.NON_SECURE_STORAGE_ACCESS)
SECURE_VIOLATION = int(ProgramCode.SECURE_STORAGE_VIOLATION)


class HalfwordInMemory(Struct):
    """A halfword in this process's memory."""

    value: u16


class WordInMemory(Struct):
    """A word in this process's memory."""

    value: u32


@typed(inline=False)
def frame_owner(cpu: Cpu, host: u64) -> u16:
    """Who owns the frame of a host absolute address; 0 for nobody. ref: UV secure storage."""
    if cpu.secure_owner == 0 or host >= cpu.ram_size:
        return 0
    return HalfwordInMemory.at(cpu.secure_owner + (host >> 12) * 2).value


@typed(inline=False)
def secure_code(cpu: Cpu, absolute: u64, host: u64) -> u16:
    """The host's program code, or 0, for a guest's access to a frame that may be secure."""
    owner = frame_owner(cpu, host)
    if cpu.sie_protected == 0:
        if owner != 0 and owner & SECURE_SHARED == 0:
            return SECURE_ACCESS
        return 0
    if owner == 0:
        return NON_SECURE_ACCESS
    if owner & 0x7FFF != cpu.sie_config:
        return SECURE_VIOLATION
    if host < cpu.ram_size:
        if u64(WordInMemory.at(cpu.secure_guest + (host >> 12) * 4).value) != absolute >> 12:
            return SECURE_VIOLATION
    return 0


@typed(inline=False)
def walk(
    cpu: Cpu, asce: u64, address: u64, edat: bool, guest: bool, prefix: u64
) -> tuple[u16, u64, bool]:
    """Walk the tables: (program code or 0, real address, DAT protection).

    ref: PoP 3 Translation Process
    """
    if asce & Asce.REAL_SPACE != 0:
        return u16(0), address, False
    level = (asce >> 2) & 3
    shift = u64(20) + level * 11
    # Address bits above the designated table have to be zero.
    if level < 3 and (address >> (shift + 11)) != 0:
        return u16(ProgramCode.ASCE_TYPE), u64(0), False
    origin = asce & ASCE_ORIGIN
    first: u64 = 0
    last = asce & 3
    protected = False
    while True:
        index = (address >> shift) & 0x7FF
        if (index >> 9) < first or (index >> 9) > last:
            cpu.entry_address = NO_ENTRY
            return missing(level), u64(0), False
        code, entry = table_entry(cpu, origin + index * 8, guest, prefix)
        if code != 0:
            return code, u64(0), False
        if entry & RegionEntry.INVALID != 0:
            return missing(level), u64(0), False
        if (entry >> 2) & 3 != level:
            return u16(ProgramCode.TRANSLATION_SPECIFICATION), u64(0), False
        if edat and entry & PROTECTED != 0:
            protected = True
        if level == 0:
            break
        if level == 1 and edat and entry & 0x400 != 0 and cpu.facilities[1] & EDAT2 != 0:
            real = (entry & 0xFFFF_FFFF_8000_0000) | (address & 0x7FFF_FFFF)
            return u16(0), real, protected
        origin = entry & REGION_ORIGIN
        first = (entry >> 6) & 3
        last = entry & 3
        level = level - 1
        shift = shift - 11
    if asce & Asce.PRIVATE_SPACE != 0 and entry & SegmentEntry.COMMON_SEGMENT != 0:
        return u16(ProgramCode.TRANSLATION_SPECIFICATION), u64(0), False
    if edat and entry & SegmentEntry.FORMAT != 0:
        return u16(0), (entry & SEGMENT_FRAME) | (address & 0xF_FFFF), protected
    if entry & PROTECTED != 0:
        protected = True
    where = (entry & SEGMENT_PAGE_TABLE) + ((address >> 12) & 0xFF) * 8
    code, page = table_entry(cpu, where, guest, prefix)
    if code != 0:
        return code, u64(0), False
    if page & PageEntry.INVALID != 0:
        return u16(ProgramCode.PAGE_TRANSLATION), u64(0), False
    if page & PageEntry.ZERO != 0:
        return u16(ProgramCode.TRANSLATION_SPECIFICATION), u64(0), False
    if page & PROTECTED != 0:
        protected = True
    return u16(0), (page & PAGE_FRAME) | (address & OFFSET), protected


EDAT2 = 1 << (127 - 78)
"""Facility 78 in the second doubleword of the facility list."""


@typed
def missing(level: u64) -> u16:
    """Program code of an invalid or absent entry at a table level (3: region first)."""
    if level == 0:
        return u16(ProgramCode.SEGMENT_TRANSLATION)
    if level == 1:
        return u16(ProgramCode.REGION_THIRD_TRANSLATION)
    if level == 2:
        return u16(ProgramCode.REGION_SECOND_TRANSLATION)
    return u16(ProgramCode.REGION_FIRST_TRANSLATION)


@typed
def key_allows(cpu: Cpu, c: Context, key: u8, address: u64, write: bool) -> bool:
    """Key-controlled protection with its overrides. ref: PoP 3 Key-Controlled Protection."""
    if c.key == 0 or key & 0xF0 == c.key:
        return True
    if c.flags & CONTEXT_STORE_OVERRIDE != 0 and key & 0xF0 == 0x90:
        return True
    if write:
        return False
    if key & KEY_FETCH == 0:
        return True
    return c.flags & CONTEXT_FETCH_OVERRIDE != 0 and address < 2048


@typed(inline=False)
def resolve(cpu: Cpu, context: u64, address: u64, write: bool) -> tuple[u16, u64, bool]:
    """Translate one address: (program code or 0, host absolute address, page is writable).

    DAT protection comes back as the code PROTECTION with `cpu.dat_protection` set.
    """
    c = cpu.contexts[context]
    cpu.dat_protection = 0
    guest = c.flags & CONTEXT_GUEST != 0
    writable = True
    if c.flags & CONTEXT_LOW_PROTECTION != 0 and address < 8192:
        if write and address & OFFSET < 512:
            return u16(ProgramCode.PROTECTION), u64(0), False
        writable = False
    real = address
    if c.dat == 1:
        edat = c.flags & CONTEXT_EDAT != 0
        code, real, protected = walk(cpu, c.asce, address, edat, guest, c.prefix)
        if code != 0:
            return code, u64(0), False
        if protected:
            writable = False
            if write:
                cpu.dat_protection = 1
                return u16(ProgramCode.PROTECTION), u64(0), False
    absolute = real
    if c.dat != 2:
        absolute = real_to_absolute(real, c.prefix)
    if guest:
        code, absolute = guest_to_host(cpu, absolute, write)
        if code != 0:
            return code, u64(0), False
        writable = writable and write
    if absolute >= cpu.ram_size:
        return u16(ProgramCode.ADDRESSING), u64(0), False
    if not guest and cpu.secure_owner != 0:
        owner = frame_owner(cpu, absolute)
        if owner != 0 and owner & SECURE_SHARED == 0:
            return SECURE_ACCESS, u64(0), False
    frame_key = Byte.at(cpu.keys + (absolute >> 12))
    key = frame_key.value
    if not key_allows(cpu, c, key, address, write):
        return u16(ProgramCode.PROTECTION), u64(0), False
    if not key_allows(cpu, c, key, address, True):
        writable = False
    # Fetch-protection override ends inside the first page: never cache that page.
    frame_key.value = key | KEY_REFERENCE | (KEY_CHANGE if write else 0)
    return u16(0), absolute, writable


@typed(inline=False)
def fill(cpu: Cpu, context: u64, address: u64, absolute: u64, write: bool, writable: bool) -> None:
    """Enter a translation into the TLB, for writing only where every write may go straight on."""
    c = cpu.contexts[context]
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    frame = absolute & PAGE
    key = (address & PAGE) | context
    if entry.read_key != key or entry.absolute != frame:
        entry.write_key = INVALID_KEY
    entry.read_key = key
    entry.absolute = frame
    entry.addend = cpu.ram + frame - (address & PAGE)
    if c.flags & CONTEXT_FETCH_OVERRIDE != 0 and address < 4096 and c.key != 0:
        entry.read_key = INVALID_KEY
    if c.flags & CONTEXT_PER_STORE != 0:
        return
    if write and writable and peek_u64(cpu.code_map + (frame >> 9)) == 0:
        entry.write_key = key


@typed(leaves=True, inline=False)
def access_exception(cpu: Cpu, context: u64, address: u64, code: u16, write: bool) -> None:
    """Leave with an access exception, its TEID and access id. ref: PoP 3 Assigned Storage."""
    if code & HOST_FAULT_FLAG != 0:
        cpu.leave = LEAVE_HOST_FAULT
        cpu.fault_code = code & 0x7FFF
        raise Leave
    c = cpu.contexts[context]
    teid = address & PAGE
    if write:
        teid = teid | TEID_STORE
    else:
        teid = teid | TEID_FETCH
    teid = teid | u64(c.space)
    if code == ProgramCode.PROTECTION and cpu.dat_protection != 0:
        teid = teid | TEID_DAT_PROTECTION
    cpu.translation_code = teid
    cpu.exc_access_id = 0
    cpu.leave = LEAVE_PROGRAM
    program(cpu, code)


@typed(leaves=True, inline=False)
def host_for_read(cpu: Cpu, space: u32, address: u64) -> u64:
    """Host address of the byte at `address` for fetching; fills the TLB."""
    context = cpu.ctx[space]
    code, absolute, writable = resolve(cpu, context, address, False)
    if code != 0:
        access_exception(cpu, context, address, code, False)
    fill(cpu, context, address, absolute, False, writable)
    return cpu.ram + absolute


@typed(leaves=True, inline=False)
def host_for_write(cpu: Cpu, space: u32, address: u64, count: u64) -> u64:
    """Host address for storing `count` bytes within a page; drops decoded code there."""
    context = cpu.ctx[space]
    code, absolute, writable = resolve(cpu, context, address, True)
    if code != 0:
        access_exception(cpu, context, address, code, True)
    if cpu.contexts[context].flags & CONTEXT_PER_STORE != 0:
        per_store(cpu, space, address, count, cpu.per_start)
    if peek_u64(cpu.code_map + ((absolute & PAGE) >> 9)) != 0:
        code_written(cpu, absolute, count)
    fill(cpu, context, address, absolute, True, writable)
    return cpu.ram + absolute


@typed(inline=False)
def translate_quiet(cpu: Cpu, space: u32, address: u64, write: bool) -> tuple[u16, u64]:
    """Translate without leaving: (program code or 0, real address). For LRA and TEST PROTECTION.

    Key-controlled protection and low-address protection are not looked at.
    """
    c = cpu.contexts[cpu.ctx[space]]
    if c.dat != 1:
        return u16(0), address
    guest = c.flags & CONTEXT_GUEST != 0
    edat = c.flags & CONTEXT_EDAT != 0
    code, real, protected = walk(cpu, c.asce, address, edat, guest, c.prefix)
    if code == 0 and protected and write:
        return u16(ProgramCode.PROTECTION), real
    return code, real


@typed(leaves=True, inline=False)
def lowcore_host(cpu: Cpu, offset: u64) -> u64:
    """Host address of the lowcore byte at `offset` (below 8192), for storing or fetching.

    ref: PoP 3 Assigned Storage Locations
    """
    absolute = cpu.prefix + offset
    if cpu.in_sie != 0:
        code, absolute = guest_to_host(cpu, absolute, True)
        if code != 0:
            cpu.leave = LEAVE_HOST_FAULT
            cpu.fault_code = code & 0x7FFF
            raise Leave
    elif absolute >= cpu.ram_size:
        absolute = offset
    if peek_u64(cpu.code_map + ((absolute & PAGE) >> 9)) != 0:
        code_written(cpu, absolute, 16)
    return cpu.ram + absolute
