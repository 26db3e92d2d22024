"""FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XSAVEC, XRSTOR, LDMXCSR, STMXCSR. ref: APM2 11.4, 11.5"""

from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr0, Cr4
from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.x86.decode_bits import PREFIX_REX_W
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.x87_control import (
    CONTROL_ONES,
    CONTROL_WRITABLE,
    initialize,
    update_summary,
)
from worldswitch.metal.x86.leave import fault, general_protection, undefined
from worldswitch.metal.x86.mode import purge_space
from worldswitch.metal.x86.state import RAX, RDX, Cpu, Record
from worldswitch.metal.x86.state_area import (
    AVX,
    EXTENDED,
    LEGACY,
    MXCSR_INITIAL,
    PKRU,
    SSE,
    X87,
    area,
    area_size,
    check_mxcsr,
    clear_registers,
    get_16,
    get_32,
    get_64,
    in_use,
    load_registers,
    pkru_place,
    put_16,
    put_64,
    save_mxcsr,
    save_registers,
)

COMPACT = 1 << 63
"""XCOMP_BV: the area is in compacted form."""


@insn("LDMXCSR", "NP 0F AE /2 Md", ref="APM4 LDMXCSR", unit="sse")
def ldmxcsr() -> Any:
    """Load MXCSR."""

    @typed(leaves=True, inline=True)
    def ldmxcsr(cpu: Cpu, value: u32) -> None:
        check_mxcsr(cpu, value)
        cpu.mxcsr = value

    return ldmxcsr


@insn("STMXCSR", "NP 0F AE /3 Md", ref="APM4 STMXCSR", unit="sse")
def stmxcsr() -> Any:
    """Store MXCSR."""

    @typed(inline=True)
    def stmxcsr(cpu: Cpu) -> u32:
        return cpu.mxcsr

    return stmxcsr


@typed(leaves=True, inline=False)
def save_x87(cpu: Cpu, at: u64, wide: bool) -> None:
    """Store the x87 state; `wide`: its pointers are 64 bits without selectors.

    IMPDEF: the error pointers are saved whether an exception is pending or not (CPUID xsaveerptr).
    """
    put_16(cpu, at, cpu.x87_control)
    put_16(cpu, at + 2, cpu.x87_status)
    put_16(cpu, at + 4, u16(cpu.x87_tags))
    put_16(cpu, at + 6, cpu.x87_opcode)
    if wide:
        put_64(cpu, at + 8, cpu.x87_ip)
        put_64(cpu, at + 16, cpu.x87_dp)
    else:
        put_64(cpu, at + 8, (cpu.x87_ip & 0xFFFF_FFFF) | (u64(cpu.x87_cs) << 32))
        put_64(cpu, at + 16, (cpu.x87_dp & 0xFFFF_FFFF) | (u64(cpu.x87_ds) << 32))
    top = u64(cpu.x87_status >> 11) & 7
    n: u64 = 0
    while n < 8:
        number = (top + n) & 7
        put_64(cpu, at + 32 + n * 16, cpu.st[number])
        put_64(cpu, at + 40 + n * 16, u64(cpu.st_exponent[number]))
        n += 1


@typed(leaves=True, inline=False)
def load_x87(cpu: Cpu, at: u64, wide: bool) -> None:
    """Load the x87 state."""
    control = get_16(cpu, at)
    status = get_16(cpu, at + 2)
    cpu.x87_control = (control & CONTROL_WRITABLE) | CONTROL_ONES
    cpu.x87_status = status
    update_summary(cpu)
    cpu.x87_tags = u8(get_16(cpu, at + 4))
    cpu.x87_opcode = get_16(cpu, at + 6) & 0x7FF
    ip = get_64(cpu, at + 8)
    dp = get_64(cpu, at + 16)
    cpu.x87_cs = 0
    cpu.x87_ds = 0
    if not wide:
        cpu.x87_cs = u16(ip >> 32)
        cpu.x87_ds = u16(dp >> 32)
        ip = ip & 0xFFFF_FFFF
        dp = dp & 0xFFFF_FFFF
    cpu.x87_ip = ip
    cpu.x87_dp = dp
    top = u64(status >> 11) & 7
    n: u64 = 0
    while n < 8:
        number = (top + n) & 7
        cpu.st[number] = get_64(cpu, at + 32 + n * 16)
        cpu.st_exponent[number] = get_16(cpu, at + 40 + n * 16)
        n += 1


@typed(inline=False)
def clear_x87(cpu: Cpu) -> None:
    """The x87 state's initial configuration, registers included."""
    initialize(cpu)
    n: u64 = 0
    while n < 8:
        cpu.st[n] = 0
        cpu.st_exponent[n] = 0
        n += 1


@typed(leaves=True, inline=False)
def fxsave(cpu: Cpu, rec: Record) -> None:
    """x87, MMX and XMM state to 512 bytes, of which the last 96 are not written.

    IMPDEF: with CR4.OSFXSR zero, the XMM registers are neither saved nor loaded.
    """
    at = area(cpu, rec, u64(LEGACY), u64(16), True)
    save_x87(cpu, at, rec.prefixes & PREFIX_REX_W != 0)
    save_mxcsr(cpu, at)
    if cpu.cr4 & Cr4.OSFXSR != 0:
        save_registers(cpu, at + 160, u64(0))


@typed(leaves=True, inline=False)
def fxrstor(cpu: Cpu, rec: Record) -> None:
    """x87, MMX and XMM state from 512 bytes."""
    at = area(cpu, rec, u64(LEGACY), u64(16), False)
    if cpu.cr4 & Cr4.OSFXSR != 0:
        mxcsr = get_32(cpu, at + 24)
        check_mxcsr(cpu, mxcsr)
        cpu.mxcsr = mxcsr
        load_registers(cpu, at + 160, u64(0))
    load_x87(cpu, at, rec.prefixes & PREFIX_REX_W != 0)


@insn("FXSAVE", "NP 0F AE /0 M", ref="APM5 FXSAVE", unit="x87", feature="fxsr", raw=True,
      address=False)  # fmt: skip
def enter_fxsave() -> Any:
    """Save x87, MMX and XMM state."""

    @typed(leaves=True, inline=True)
    def enter_fxsave(cpu: Cpu, rec: Record) -> None:
        fxsave(cpu, rec)

    return enter_fxsave


@insn("FXRSTOR", "NP 0F AE /1 M", ref="APM5 FXRSTOR", unit="x87", feature="fxsr", raw=True,
      address=False)  # fmt: skip
def enter_fxrstor() -> Any:
    """Load x87, MMX and XMM state."""

    @typed(leaves=True, inline=True)
    def enter_fxrstor(cpu: Cpu, rec: Record) -> None:
        fxrstor(cpu, rec)

    return enter_fxrstor


@typed(leaves=True)
def requested(cpu: Cpu) -> u64:
    """The enabled components among those in EDX:EAX; #UD or #NM if XSAVE cannot be used."""
    if cpu.cr4 & Cr4.OSXSAVE == 0:
        undefined(cpu)
    if cpu.cr0 & Cr0.TS != 0:
        fault(cpu, Vector.NM)
    return ((cpu.gr[RAX] & 0xFFFF_FFFF) | (cpu.gr[RDX] << 32)) & cpu.xcr0


SAVE = 0
OPTIMIZED = 1
"""Components in their initial configuration are not written."""
COMPACTED = 2


@typed(leaves=True, inline=False)
def xsave(cpu: Cpu, rec: Record, how: u64) -> None:
    """Save the requested components (SAVE, OPTIMIZED or COMPACTED). ref: APM4 XSAVE, XSAVEC

    The modified optimization of XSAVEOPT is never made.
    """
    components = requested(cpu)
    compact = how == COMPACTED
    at = area(cpu, rec, area_size(compact, components), u64(64), True)
    used = in_use(cpu)
    if compact and cpu.mxcsr != MXCSR_INITIAL:
        used = used | SSE
    written = components
    if how != SAVE:
        written = components & used
    if written & X87 != 0:
        save_x87(cpu, at, rec.prefixes & PREFIX_REX_W != 0)
    if written & SSE != 0:
        save_registers(cpu, at + 160, u64(0))
    if (compact and written & SSE != 0) or (not compact and components & (SSE | AVX) != 0):
        save_mxcsr(cpu, at)
    if written & AVX != 0:
        save_registers(cpu, at + EXTENDED, u64(2))
    if written & PKRU != 0:
        put_64(cpu, at + pkru_place(compact, components), u64(cpu.pkru))
    if compact:
        put_64(cpu, at + LEGACY, components & used)
        put_64(cpu, at + LEGACY + 8, components | COMPACT)
    else:
        kept = get_64(cpu, at + LEGACY) & ~components
        put_64(cpu, at + LEGACY, kept | (components & used))


@typed(leaves=True, inline=False)
def check_header(cpu: Cpu, at: u64) -> tuple[u64, u64]:
    """XSTATE_BV and XCOMP_BV of an area that may be restored; otherwise #GP(0)."""
    state = get_64(cpu, at + LEGACY)
    compacted = get_64(cpu, at + LEGACY + 8)
    reserved = get_64(cpu, at + LEGACY + 16)
    allowed = cpu.xcr0
    if compacted & COMPACT != 0:
        allowed = compacted & ~u64(COMPACT)
        if allowed & ~cpu.xcr0 != 0:
            general_protection(cpu)
        n: u64 = 24
        while n < 64:
            reserved = reserved | get_64(cpu, at + LEGACY + n)
            n += 8
    else:
        reserved = reserved | compacted
    if state & ~allowed != 0 or reserved != 0:
        general_protection(cpu)
    return state, compacted


@typed(leaves=True, inline=False)
def xrstor(cpu: Cpu, rec: Record) -> None:
    """Load the requested components, or give them their initial configuration. ref: APM4 XRSTOR"""
    components = requested(cpu)
    at = area(cpu, rec, u64(EXTENDED), u64(64), False)
    state, compacted = check_header(cpu, at)
    compact = compacted & COMPACT != 0
    layout = compacted
    if not compact:
        layout = components
    size = area_size(compact, layout)
    if size != EXTENDED:
        area(cpu, rec, size, u64(64), False)
    loaded = components & state
    cleared = components & ~state
    mxcsr: u32 = cpu.mxcsr
    if compact:
        if cleared & SSE != 0:
            mxcsr = MXCSR_INITIAL
        if loaded & SSE != 0:
            mxcsr = get_32(cpu, at + 24)
    elif components & (SSE | AVX) != 0:
        mxcsr = get_32(cpu, at + 24)
    check_mxcsr(cpu, mxcsr)
    cpu.mxcsr = mxcsr
    if loaded & X87 != 0:
        load_x87(cpu, at, rec.prefixes & PREFIX_REX_W != 0)
    if cleared & X87 != 0:
        clear_x87(cpu)
    if loaded & SSE != 0:
        load_registers(cpu, at + 160, u64(0))
    if cleared & SSE != 0:
        clear_registers(cpu, u64(0))
    if loaded & AVX != 0:
        load_registers(cpu, at + EXTENDED, u64(2))
    if cleared & AVX != 0:
        clear_registers(cpu, u64(2))
    if components & PKRU != 0:
        before = cpu.pkru
        cpu.pkru = 0
        if loaded & PKRU != 0:
            cpu.pkru = get_32(cpu, at + pkru_place(compact, layout))
        if cpu.pkru != before:
            # Translations in the TLB have been made with the former rights.
            purge_space(cpu, cpu.asid, 0, True, True)


def _save(name: str, encoding: str, feature: str, how: int) -> None:
    @insn(name, encoding, ref=f"APM4 {name}", feature=feature, raw=True, address=False)
    def save() -> Any:
        """Save state components."""

        @typed(leaves=True, inline=True)
        def save(cpu: Cpu, rec: Record) -> None:
            xsave(cpu, rec, u64(how))

        return save


_save("XSAVE", "NP 0F AE /4 M", "xsave", SAVE)
_save("XSAVEOPT", "NP 0F AE /6 M", "xsaveopt", OPTIMIZED)
_save("XSAVEC", "NP 0F C7 /4 M", "xsavec", COMPACTED)


@insn("XRSTOR", "NP 0F AE /5 M", ref="APM4 XRSTOR", feature="xsave", raw=True, address=False)
def enter_xrstor() -> Any:
    """Load state components."""

    @typed(leaves=True, inline=True)
    def enter_xrstor(cpu: Cpu, rec: Record) -> None:
        xrstor(cpu, rec)

    return enter_xrstor
