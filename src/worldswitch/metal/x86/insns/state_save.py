"""FXSAVE, FXRSTOR, XSAVE and its kin, LDMXCSR, STMXCSR. ref: APM1 11.4.4; APM2 11.4.4, 11.5"""

from typing import Any

from worldswitch.arch.x86.registers import Cr4
from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.x86.cpuid import PKRU_COMPONENT, XSAVE_PKRU_OFFSET
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.x87_control import CONTROL_ONES, CONTROL_WRITABLE, update_summary
from worldswitch.metal.x86.leave import general_protection, undefined
from worldswitch.metal.x86.memory import (
    load_u8,
    load_u16,
    load_u32,
    load_u64,
    store_u16,
    store_u32,
    store_u64,
    touch_write,
)
from worldswitch.metal.x86.mode import MODE_LONG, purge_space
from worldswitch.metal.x86.operands import effective
from worldswitch.metal.x86.state import RAX, RDX, Cpu, Record

MXCSR_MASK = 0xFFFF
MXCSR_INIT = 0x1F80
FXSAVE_SIZE = 512
X87, SSE, PKRU = 1, 2, 1 << PKRU_COMPONENT
COMPACT = 1 << 63
HEADER = 512
XSAVE_SIZE = 576


@typed(leaves=True, inline=False)
def save_x87(cpu: Cpu, seg: u8, at: u64, wide: bool) -> None:
    """The x87 part of an FXSAVE image; `wide` with REX.W: pointers of 64 bits."""
    store_u16(cpu, seg, at, cpu.x87_control)
    store_u16(cpu, seg, at + 2, cpu.x87_status)
    store_u16(cpu, seg, at + 4, u16(cpu.x87_tags))
    store_u16(cpu, seg, at + 6, cpu.x87_opcode)
    if wide:
        store_u64(cpu, seg, at + 8, cpu.x87_ip)
        store_u64(cpu, seg, at + 16, cpu.x87_dp)
    else:
        store_u32(cpu, seg, at + 8, u32(cpu.x87_ip))
        store_u32(cpu, seg, at + 12, u32(cpu.x87_cs))
        store_u32(cpu, seg, at + 16, u32(cpu.x87_dp))
        store_u32(cpu, seg, at + 20, u32(cpu.x87_ds))
    top = u64(cpu.x87_status >> 11) & 7
    n: u64 = 0
    while n < 8:
        number = (top + n) & 7
        store_u64(cpu, seg, at + 32 + n * 16, cpu.st[number])
        store_u64(cpu, seg, at + 40 + n * 16, u64(cpu.st_exponent[number]))
        n += 1


@typed(leaves=True, inline=False)
def load_x87(cpu: Cpu, seg: u8, at: u64, wide: bool) -> None:
    """The x87 part of an image into the unit."""
    control = load_u16(cpu, seg, at)
    cpu.x87_control = (control & CONTROL_WRITABLE) | CONTROL_ONES
    cpu.x87_status = load_u16(cpu, seg, at + 2)
    cpu.x87_tags = load_u8(cpu, seg, at + 4)
    cpu.x87_opcode = load_u16(cpu, seg, at + 6) & 0x7FF
    if wide:
        cpu.x87_ip = load_u64(cpu, seg, at + 8)
        cpu.x87_dp = load_u64(cpu, seg, at + 16)
    else:
        cpu.x87_ip = u64(load_u32(cpu, seg, at + 8))
        cpu.x87_cs = load_u16(cpu, seg, at + 12)
        cpu.x87_dp = u64(load_u32(cpu, seg, at + 16))
        cpu.x87_ds = load_u16(cpu, seg, at + 20)
    top = u64(cpu.x87_status >> 11) & 7
    n: u64 = 0
    while n < 8:
        number = (top + n) & 7
        cpu.st[number] = load_u64(cpu, seg, at + 32 + n * 16)
        cpu.st_exponent[number] = load_u16(cpu, seg, at + 40 + n * 16)
        n += 1
    update_summary(cpu)


@typed
def xmm_count(cpu: Cpu) -> u64:
    """The XMM registers that the mode has."""
    if cpu.mode & MODE_LONG != 0:
        return 16
    return 8


@typed(leaves=True, inline=False)
def save_xmm(cpu: Cpu, seg: u8, at: u64) -> None:
    """The XMM registers of an image."""
    n: u64 = 0
    while n < xmm_count(cpu):
        store_u64(cpu, seg, at + 160 + n * 16, cpu.xmm[n * 4])
        store_u64(cpu, seg, at + 168 + n * 16, cpu.xmm[n * 4 + 1])
        n += 1


@typed(leaves=True, inline=False)
def load_xmm(cpu: Cpu, seg: u8, at: u64) -> None:
    """The XMM registers from an image."""
    n: u64 = 0
    while n < xmm_count(cpu):
        cpu.xmm[n * 4] = load_u64(cpu, seg, at + 160 + n * 16)
        cpu.xmm[n * 4 + 1] = load_u64(cpu, seg, at + 168 + n * 16)
        n += 1


@typed(leaves=True, inline=False)
def save_image(cpu: Cpu, seg: u8, at: u64, wide: bool) -> None:
    """FXSAVE: all or nothing."""
    if at & 15 != 0:
        general_protection(cpu)
    touch_write(cpu, seg, at, FXSAVE_SIZE)
    save_x87(cpu, seg, at, wide)
    store_u32(cpu, seg, at + 24, cpu.mxcsr)
    store_u32(cpu, seg, at + 28, u32(MXCSR_MASK))
    if cpu.cr4 & Cr4.OSFXSR != 0:
        save_xmm(cpu, seg, at)


@typed(leaves=True, inline=False)
def load_image(cpu: Cpu, seg: u8, at: u64, wide: bool) -> None:
    """FXRSTOR."""
    if at & 15 != 0:
        general_protection(cpu)
    # The last byte: what faults does so before anything is loaded.
    load_u8(cpu, seg, at + FXSAVE_SIZE - 1)
    value = load_u32(cpu, seg, at + 24)
    if cpu.cr4 & Cr4.OSFXSR != 0:
        if value & ~u32(MXCSR_MASK) != 0:
            general_protection(cpu)
        cpu.mxcsr = value
        load_xmm(cpu, seg, at)
    load_x87(cpu, seg, at, wide)


def _whole(name: str, digit: int, load: bool) -> None:
    move = load_image if load else save_image

    @insn(name, f"NP 0F AE /{digit} M", ref=f"APM5 {name}", raw=True, unit="x87", sized=True,
          writes=not load, feature="fxsr")  # fmt: skip
    def whole(w: Any) -> Any:
        """The x87 and SSE state as a whole."""
        wide = w.bits == 64

        @typed(leaves=True, inline=True)
        def whole(cpu: Cpu, rec: Record) -> None:
            move(cpu, rec.seg, effective(cpu, rec), wide)

        return whole


_whole("FXSAVE", 0, False)
_whole("FXRSTOR", 1, True)


@insn("LDMXCSR", "NP 0F AE /2 Md", ref="APM4 LDMXCSR", raw=True, unit="sse")
def ldmxcsr() -> Any:
    """Load MXCSR; reserved bits are #GP(0)."""

    @typed(leaves=True, inline=True)
    def ldmxcsr(cpu: Cpu, rec: Record) -> None:
        value = load_u32(cpu, rec.seg, effective(cpu, rec))
        if value & ~u32(MXCSR_MASK) != 0:
            general_protection(cpu)
        cpu.mxcsr = value

    return ldmxcsr


@insn("STMXCSR", "NP 0F AE /3 Md", ref="APM4 STMXCSR", raw=True, unit="sse", writes=True)
def stmxcsr() -> Any:
    """Store MXCSR."""

    @typed(leaves=True, inline=True)
    def stmxcsr(cpu: Cpu, rec: Record) -> None:
        store_u32(cpu, rec.seg, effective(cpu, rec), cpu.mxcsr)

    return stmxcsr


@typed(leaves=True)
def wanted(cpu: Cpu, at: u64) -> u64:
    """The components that EDX:EAX asks for among those enabled; checks what all forms check."""
    if cpu.cr4 & Cr4.OSXSAVE == 0:
        undefined(cpu)
    if at & 63 != 0:
        general_protection(cpu)
    return ((cpu.gr[RDX] << 32) | (cpu.gr[RAX] & 0xFFFF_FFFF)) & cpu.xcr0


@typed
def in_use(cpu: Cpu) -> u64:
    """Components that are not in their initial state. ref: APM2 11.5.9"""
    used: u64 = 0
    if cpu.x87_control != 0x37F or cpu.x87_status != 0 or cpu.x87_tags != 0:
        used = X87
    n: u64 = 0
    while n < 16:
        if cpu.xmm[n * 4] | cpu.xmm[n * 4 + 1] != 0:
            used = used | SSE
        n += 1
    if cpu.pkru != 0:
        used = used | PKRU
    return used


@typed(leaves=True, inline=False)
def save_components(cpu: Cpu, seg: u8, at: u64, wide: bool, optimized: bool, compact: bool) -> None:
    """XSAVE, XSAVEOPT, XSAVEC. The header's last part is not written but by XSAVEC."""
    asked = wanted(cpu, at)
    touch_write(cpu, seg, at, XSAVE_SIZE)
    present = asked
    if optimized:
        present = asked & in_use(cpu)
    if present & X87 != 0:
        save_x87(cpu, seg, at, wide)
    if present & SSE != 0:
        save_xmm(cpu, seg, at)
    if present & PKRU != 0:
        place = at + XSAVE_PKRU_OFFSET
        if compact:
            place = at + XSAVE_SIZE
        store_u64(cpu, seg, place, u64(cpu.pkru))
    if asked & SSE != 0:
        store_u32(cpu, seg, at + 24, cpu.mxcsr)
        store_u32(cpu, seg, at + 28, u32(MXCSR_MASK))
    if compact:
        store_u64(cpu, seg, at + HEADER, present)
        store_u64(cpu, seg, at + HEADER + 8, asked | COMPACT)
    else:
        old = load_u64(cpu, seg, at + HEADER)
        store_u64(cpu, seg, at + HEADER, (old & ~asked) | present)


@typed(leaves=True, inline=False)
def check_header(cpu: Cpu, seg: u8, at: u64) -> u64:
    """XSTATE_BV of an image that can be loaded."""
    present = load_u64(cpu, seg, at + HEADER)
    form = load_u64(cpu, seg, at + HEADER + 8)
    n: u64 = 16
    while n < 24 or (form & COMPACT != 0 and n < 64):
        if load_u64(cpu, seg, at + HEADER + n) != 0:
            general_protection(cpu)
        n += 8
    if present & ~cpu.xcr0 != 0:
        general_protection(cpu)
    if form & COMPACT != 0:
        allowed = form & ~u64(COMPACT)
        if allowed & ~cpu.xcr0 != 0 or present & ~allowed != 0:
            general_protection(cpu)
    elif form != 0:
        general_protection(cpu)
    return present


@typed(leaves=True, inline=False)
def load_components(cpu: Cpu, seg: u8, at: u64, wide: bool) -> None:
    """XRSTOR: components that the image lacks get their initial state."""
    asked = wanted(cpu, at)
    present = check_header(cpu, seg, at)
    load_u8(cpu, seg, at)
    if asked & PKRU != 0:
        rights: u32 = 0
        if present & PKRU != 0:
            place = at + XSAVE_PKRU_OFFSET
            if load_u64(cpu, seg, at + HEADER + 8) & COMPACT != 0:
                place = at + XSAVE_SIZE
            rights = load_u32(cpu, seg, place)
        if rights != cpu.pkru:
            cpu.pkru = rights
            purge_space(cpu, cpu.asid, 0, True, True)
    if asked & SSE != 0:
        value = load_u32(cpu, seg, at + 24)
        if value & ~u32(MXCSR_MASK) != 0:
            general_protection(cpu)
        cpu.mxcsr = value
        if present & SSE != 0:
            load_xmm(cpu, seg, at)
        else:
            n: u64 = 0
            while n < xmm_count(cpu):
                cpu.xmm[n * 4] = 0
                cpu.xmm[n * 4 + 1] = 0
                n += 1
    if asked & X87 != 0:
        if present & X87 != 0:
            load_x87(cpu, seg, at, wide)
        else:
            clear_x87(cpu)


@typed(inline=False)
def clear_x87(cpu: Cpu) -> None:
    """The unit's initial state, registers included."""
    cpu.x87_control = 0x37F
    cpu.x87_status = 0
    cpu.x87_tags = 0
    cpu.x87_opcode = 0
    cpu.x87_ip = 0
    cpu.x87_dp = 0
    cpu.x87_cs = 0
    cpu.x87_ds = 0
    n: u64 = 0
    while n < 8:
        cpu.st[n] = 0
        cpu.st_exponent[n] = 0
        n += 1


def _components(name: str, encoding: str, feature: str, optimized: bool, compact: bool) -> None:
    @insn(name, encoding, ref=f"APM4 {name}", raw=True, sized=True, writes=True, feature=feature)
    def components(w: Any) -> Any:
        """Save the components asked for."""
        wide = w.bits == 64

        @typed(leaves=True, inline=True)
        def components(cpu: Cpu, rec: Record) -> None:
            save_components(cpu, rec.seg, effective(cpu, rec), wide, optimized, compact)

        return components


_components("XSAVE", "NP 0F AE /4 M", "xsave", False, False)
_components("XSAVEOPT", "NP 0F AE /6 M", "xsaveopt", True, False)
_components("XSAVEC", "NP 0F C7 /4 M", "xsavec", True, True)


@insn("XRSTOR", "NP 0F AE /5 M", ref="APM4 XRSTOR", raw=True, sized=True, feature="xsave")
def xrstor(w: Any) -> Any:
    """Load the components asked for."""
    wide = w.bits == 64

    @typed(leaves=True, inline=True)
    def xrstor(cpu: Cpu, rec: Record) -> None:
        load_components(cpu, rec.seg, effective(cpu, rec), wide)

    return xrstor
