"""The x87 environment and state in memory: FNSTENV, FLDENV, FNSAVE, FRSTOR.

There are four layouts: of 16 or 32 bits by operand size, for protected mode (long mode included)
and for real and virtual-8086 mode. ref: APM2 11.4.3 x87 Environment
"""

from typing import Any

from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.x86.decode_bits import PREFIX_OPERAND, PREFIX_REX_W
from worldswitch.metal.x86.fp.x87 import f80_examine
from worldswitch.metal.x86.fp.x87_core import C2, C3, CONDITIONS
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.x87_control import (
    CONTROL_ONES,
    CONTROL_WRITABLE,
    EXCEPTIONS,
    initialize,
    update_summary,
    wait_for_errors,
)
from worldswitch.metal.x86.memory import (
    linear,
    load_u8,
    load_u16,
    load_u32,
    load_u64,
    store_u16,
    store_u32,
    store_u64,
    touch_write,
)
from worldswitch.metal.x86.mode import MODE_CODE32, MODE_LONG, MODE_PROTECTED, MODE_V86
from worldswitch.metal.x86.operands import effective
from worldswitch.metal.x86.segment_checks import check_segment
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.x87_unit import OPCODE, SEGMENT_SHIFT, st

VALID, ZERO_TAG, SPECIAL, EMPTY = range(4)
REGISTERS = 80
"""Bytes of the eight registers behind the environment of FNSAVE."""
HIGH_ONES = 0xFFFF_0000
"""What the 32-bit layouts have above 16-bit registers."""


@typed
def is_wide(cpu: Cpu, rec: Record) -> bool:
    """Whether the layout is of 32 bits."""
    prefixes = u64(rec.prefixes)
    if cpu.mode & MODE_LONG != 0:
        return prefixes & PREFIX_OPERAND == 0 or prefixes & PREFIX_REX_W != 0
    return (cpu.mode & MODE_CODE32 != 0) == (prefixes & PREFIX_OPERAND == 0)


@typed
def is_protected(cpu: Cpu) -> bool:
    """Whether the layout has selectors: not in real and virtual-8086 mode."""
    return cpu.mode & (MODE_PROTECTED | MODE_V86) == MODE_PROTECTED


@typed
def size_of_environment(wide: bool) -> u64:
    """Its bytes."""
    return u64(28) if wide else u64(14)


@typed(inline=False)
def tag_of(cpu: Cpu, number: u64) -> u64:
    """The tag of a physical register, of two bits."""
    if (u64(cpu.x87_tags) >> number) & 1 == 0:
        return u64(EMPTY)
    kind = f80_examine(st(cpu, number - u64(cpu.x87_status >> 11)), False) & CONDITIONS
    if kind == C3:
        return u64(ZERO_TAG)
    return u64(VALID) if kind == C2 else u64(SPECIAL)


@typed(inline=False)
def tag_word(cpu: Cpu) -> u16:
    """The tag word, as the environment has it."""
    word: u64 = 0
    n: u64 = 0
    while n < 8:
        word = word | (tag_of(cpu, n) << (n * 2))
        n += 1
    return u16(word)


@typed(inline=False)
def set_tags(cpu: Cpu, word: u16) -> None:
    """Load the tag word: empty or not is all that counts."""
    tags: u64 = 0
    n: u64 = 0
    while n < 8:
        if (u64(word) >> (n * 2)) & 3 != EMPTY:
            tags = tags | (u64(1) << n)
        n += 1
    cpu.x87_tags = u8(tags)


@typed(leaves=True, inline=False)
def check_area(cpu: Cpu, rec: Record, at: u64, size: u64, write: bool) -> None:
    """Recognize the faults of an area of `size` bytes, before anything is loaded or stored."""
    if cpu.mode & MODE_LONG == 0:
        seg = u64(rec.opcode >> SEGMENT_SHIFT)
        check_segment(cpu, seg, (at - cpu.seg_base[seg]) & 0xFFFF_FFFF, size, write)
    if write:
        touch_write(cpu, rec.seg, at, size)
    else:
        load_u8(cpu, rec.seg, at)
        load_u8(cpu, rec.seg, linear(cpu, at + size - 1))


@typed(leaves=True, inline=False)
def put_wide(cpu: Cpu, rec: Record, at: u64) -> None:
    """Store a 32-bit environment."""
    store_u32(cpu, rec.seg, at, u32(cpu.x87_control) | HIGH_ONES)
    store_u32(cpu, rec.seg, linear(cpu, at + 4), u32(cpu.x87_status) | HIGH_ONES)
    store_u32(cpu, rec.seg, linear(cpu, at + 8), u32(tag_word(cpu)) | HIGH_ONES)
    ip = u32(cpu.x87_ip)
    dp = u32(cpu.x87_dp)
    opcode = u32(cpu.x87_opcode)
    code = u32(cpu.x87_cs) | (opcode << 16)
    data = u32(cpu.x87_ds) | HIGH_ONES
    if not is_protected(cpu):
        ip += u32(cpu.x87_cs) << 4
        dp += u32(cpu.x87_ds) << 4
        code = ((ip >> 16) << 12) | opcode
        data = (dp >> 16) << 12
        ip = (ip & 0xFFFF) | HIGH_ONES
        dp = (dp & 0xFFFF) | HIGH_ONES
    store_u32(cpu, rec.seg, linear(cpu, at + 12), ip)
    store_u32(cpu, rec.seg, linear(cpu, at + 16), code)
    store_u32(cpu, rec.seg, linear(cpu, at + 20), dp)
    store_u32(cpu, rec.seg, linear(cpu, at + 24), data)


@typed(leaves=True, inline=False)
def put_narrow(cpu: Cpu, rec: Record, at: u64) -> None:
    """Store a 16-bit environment."""
    store_u16(cpu, rec.seg, at, cpu.x87_control)
    store_u16(cpu, rec.seg, linear(cpu, at + 2), cpu.x87_status)
    store_u16(cpu, rec.seg, linear(cpu, at + 4), tag_word(cpu))
    ip = u32(cpu.x87_ip)
    dp = u32(cpu.x87_dp)
    code = cpu.x87_cs
    data = cpu.x87_ds
    if not is_protected(cpu):
        ip += u32(cpu.x87_cs) << 4
        dp += u32(cpu.x87_ds) << 4
        code = u16((ip >> 16) << 12) | cpu.x87_opcode
        data = u16((dp >> 16) << 12)
    store_u16(cpu, rec.seg, linear(cpu, at + 6), u16(ip))
    store_u16(cpu, rec.seg, linear(cpu, at + 8), code)
    store_u16(cpu, rec.seg, linear(cpu, at + 10), u16(dp))
    store_u16(cpu, rec.seg, linear(cpu, at + 12), data)


@typed(leaves=True, inline=False)
def get_wide(cpu: Cpu, rec: Record, at: u64) -> None:
    """Load a 32-bit environment."""
    control = u16(load_u32(cpu, rec.seg, at))
    status = u16(load_u32(cpu, rec.seg, linear(cpu, at + 4)))
    tags = u16(load_u32(cpu, rec.seg, linear(cpu, at + 8)))
    ip = load_u32(cpu, rec.seg, linear(cpu, at + 12))
    code = load_u32(cpu, rec.seg, linear(cpu, at + 16))
    dp = load_u32(cpu, rec.seg, linear(cpu, at + 20))
    data = load_u32(cpu, rec.seg, linear(cpu, at + 24))
    if is_protected(cpu):
        set_environment(cpu, control, status, tags)
        set_pointers(cpu, ip, u16(code), u16(code >> 16), dp, u16(data))
    else:
        set_environment(cpu, control, status, tags)
        ip = (ip & 0xFFFF) | ((code >> 12) << 16)
        dp = (dp & 0xFFFF) | ((data >> 12) << 16)
        set_pointers(cpu, ip, u16(0), u16(code), dp, u16(0))


@typed(leaves=True, inline=False)
def get_narrow(cpu: Cpu, rec: Record, at: u64) -> None:
    """Load a 16-bit environment."""
    control = load_u16(cpu, rec.seg, at)
    status = load_u16(cpu, rec.seg, linear(cpu, at + 2))
    tags = load_u16(cpu, rec.seg, linear(cpu, at + 4))
    ip = u32(load_u16(cpu, rec.seg, linear(cpu, at + 6)))
    code = load_u16(cpu, rec.seg, linear(cpu, at + 8))
    dp = u32(load_u16(cpu, rec.seg, linear(cpu, at + 10)))
    data = load_u16(cpu, rec.seg, linear(cpu, at + 12))
    set_environment(cpu, control, status, tags)
    if is_protected(cpu):
        set_pointers(cpu, ip, code, u16(0), dp, data)
    else:
        ip = ip | (u32(code >> 12) << 16)
        dp = dp | (u32(data >> 12) << 16)
        set_pointers(cpu, ip, u16(0), code, dp, u16(0))


@typed(inline=False)
def set_environment(cpu: Cpu, control: u16, status: u16, tags: u16) -> None:
    """Load control, status and tag words; an exception may become pending."""
    cpu.x87_control = (control & CONTROL_WRITABLE) | CONTROL_ONES
    cpu.x87_status = status
    set_tags(cpu, tags)
    update_summary(cpu)


@typed(inline=False)
def set_pointers(cpu: Cpu, ip: u32, cs: u16, opcode: u16, dp: u32, ds: u16) -> None:
    """Load what tells of the last instruction."""
    cpu.x87_ip = u64(ip)
    cpu.x87_cs = cs
    cpu.x87_opcode = opcode & OPCODE
    cpu.x87_dp = u64(dp)
    cpu.x87_ds = ds


@typed(leaves=True, inline=False)
def put_environment(cpu: Cpu, rec: Record, at: u64, wide: bool) -> None:
    """Store the environment."""
    if wide:
        put_wide(cpu, rec, at)
    else:
        put_narrow(cpu, rec, at)


@typed(leaves=True, inline=False)
def get_environment(cpu: Cpu, rec: Record, at: u64, wide: bool) -> None:
    """Load the environment."""
    if wide:
        get_wide(cpu, rec, at)
    else:
        get_narrow(cpu, rec, at)


@typed(leaves=True, inline=False)
def store_environment(cpu: Cpu, rec: Record) -> None:
    """FNSTENV: all exceptions are masked then."""
    at = effective(cpu, rec)
    wide = is_wide(cpu, rec)
    check_area(cpu, rec, at, size_of_environment(wide), True)
    put_environment(cpu, rec, at, wide)
    cpu.x87_control = cpu.x87_control | EXCEPTIONS
    update_summary(cpu)


@typed(leaves=True, inline=False)
def load_environment(cpu: Cpu, rec: Record) -> None:
    """FLDENV."""
    at = effective(cpu, rec)
    wide = is_wide(cpu, rec)
    check_area(cpu, rec, at, size_of_environment(wide), False)
    get_environment(cpu, rec, at, wide)


@typed(leaves=True, inline=False)
def save_state(cpu: Cpu, rec: Record) -> None:
    """FNSAVE: the environment and the registers from ST(0) on; the unit is initialized then."""
    at = effective(cpu, rec)
    wide = is_wide(cpu, rec)
    size = size_of_environment(wide)
    check_area(cpu, rec, at, size + REGISTERS, True)
    put_environment(cpu, rec, at, wide)
    n: u64 = 0
    while n < 8:
        value = st(cpu, n)
        here = at + size + n * 10
        store_u64(cpu, rec.seg, linear(cpu, here), u64(value))
        store_u16(cpu, rec.seg, linear(cpu, here + 8), u16(value >> 64))
        n += 1
    initialize(cpu)


@typed(leaves=True, inline=False)
def restore_state(cpu: Cpu, rec: Record) -> None:
    """FRSTOR."""
    at = effective(cpu, rec)
    wide = is_wide(cpu, rec)
    size = size_of_environment(wide)
    check_area(cpu, rec, at, size + REGISTERS, False)
    get_environment(cpu, rec, at, wide)
    n: u64 = 0
    while n < 8:
        number = (u64(cpu.x87_status >> 11) + n) & 7
        here = at + size + n * 10
        cpu.st[number] = load_u64(cpu, rec.seg, linear(cpu, here))
        cpu.st_exponent[number] = load_u16(cpu, rec.seg, linear(cpu, here + 8))
        n += 1


@insn("FNSTENV", "D9 /6 M", ref="APM5 2 FSTENV", raw=True, unit="x87", writes=True)
def fnstenv() -> Any:
    """Store the environment and mask all exceptions."""

    @typed(leaves=True, inline=True)
    def fnstenv(cpu: Cpu, rec: Record) -> None:
        store_environment(cpu, rec)

    return fnstenv


@insn("FLDENV", "D9 /4 M", ref="APM5 2 FLDENV", raw=True, unit="x87")
def fldenv() -> Any:
    """Load the environment."""

    @typed(leaves=True, inline=True)
    def fldenv(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        load_environment(cpu, rec)

    return fldenv


@insn("FNSAVE", "DD /6 M", ref="APM5 2 FSAVE", raw=True, unit="x87", writes=True)
def fnsave() -> Any:
    """Store the whole state and initialize the unit."""

    @typed(leaves=True, inline=True)
    def fnsave(cpu: Cpu, rec: Record) -> None:
        save_state(cpu, rec)

    return fnsave


@insn("FRSTOR", "DD /4 M", ref="APM5 2 FRSTOR", raw=True, unit="x87")
def frstor() -> Any:
    """Load the whole state."""

    @typed(leaves=True, inline=True)
    def frstor(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        restore_state(cpu, rec)

    return frstor
