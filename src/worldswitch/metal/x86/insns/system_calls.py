"""SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, and the FS and GS bases. ref: APM3 3, 4"""

from typing import Any

from worldswitch.arch.x86.registers import Cr4, Efer, Rflags
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import typed, u8, u16, u64
from worldswitch.metal.x86.flags import Width, rflags, set_status
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import general_protection, undefined
from worldswitch.metal.x86.mode import MODE_LMA, MODE_LONG, MODE_PROTECTED, update_mode
from worldswitch.metal.x86.operands import PUT, next_rip
from worldswitch.metal.x86.paging import canonical
from worldswitch.metal.x86.single import arm_trap
from worldswitch.metal.x86.state import CS, FS, GS, RCX, RDX, RSP, SS, Cpu, Record

R11 = 11
CODE64 = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_CODE | SegAttr.TYPE_W | SegAttr.TYPE_A
             | SegAttr.L | SegAttr.G)  # fmt: skip
CODE32 = CODE64 & ~int(SegAttr.L) | int(SegAttr.DB)
DATA32 = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_W | SegAttr.TYPE_A | SegAttr.DB | SegAttr.G)
LOADED_FLAGS = 0x3F_7FD5
"""RFLAGS bits that SYSRET loads from R11: RF and VM stay zero."""


@typed(inline=False)
def set_flat(cpu: Cpu, number: u64, selector: u64, attributes: u64, level: u64) -> None:
    """Load CS or SS as the fast system calls do: base 0, limit 4 GiB."""
    cpu.seg_selector[number] = u16(selector)
    cpu.seg_attr[number] = u16(attributes) | u16(level << 5)
    cpu.seg_base[number] = 0
    cpu.seg_limit[number] = 0xFFFF_FFFF


@typed(inline=False)
def fast_code(cpu: Cpu, selector: u64, attributes: u64, level: u64) -> None:
    """Load CS; where its base was another one, jump targets found so far are wrong."""
    if cpu.seg_base[CS] != 0:
        cpu.jump_generation += 1
    set_flat(cpu, CS, selector, attributes, level)


@typed(leaves=True, inline=False)
def system_call(cpu: Cpu, after: u64) -> None:
    """SYSCALL; `after` is the RIP to return to."""
    if cpu.efer & Efer.SCE == 0:
        undefined(cpu)
    selector = (cpu.star >> 32) & 0xFFFC
    if cpu.mode & MODE_LMA != 0:
        cpu.gr[RCX] = after
        cpu.gr[R11] = rflags(cpu) & ~u64(Rflags.RF)
        cpu.rip = cpu.cstar
        if cpu.mode & MODE_LONG != 0:
            cpu.rip = cpu.lstar
        value = rflags(cpu) & ~(cpu.sfmask | Rflags.RF)
        cpu.flags = (value & ~u64(0x8D5)) | 2
        set_status(cpu, value)
        fast_code(cpu, selector, CODE64, 0)
    else:
        cpu.gr[RCX] = after & 0xFFFF_FFFF
        cpu.rip = cpu.star & 0xFFFF_FFFF
        cpu.flags = cpu.flags & ~u64(Rflags.IF | Rflags.RF | Rflags.VM)
        fast_code(cpu, selector, CODE32, 0)
    set_flat(cpu, SS, selector + 8, DATA32, 0)
    arm_trap(cpu)
    cpu.cpl = 0
    cpu.check = 1
    update_mode(cpu)


@insn("SYSCALL", "0F 05", ref="APM3 3 SYSCALL", raw=True, control=True, feature="syscall")
def syscall() -> Any:
    """Fast call of the operating system."""

    @typed(leaves=True, inline=True)
    def syscall(cpu: Cpu, rec: Record) -> None:
        system_call(cpu, next_rip(cpu, rec))

    return syscall


@typed(leaves=True, inline=False)
def system_return(cpu: Cpu, wide: bool) -> None:
    """SYSRET; `wide` with REX.W: to 64-bit mode."""
    if cpu.efer & Efer.SCE == 0:
        undefined(cpu)
    if cpu.cpl != 0 or cpu.mode & MODE_PROTECTED == 0:
        general_protection(cpu)
    base = cpu.star >> 48
    target = cpu.gr[RCX]
    if cpu.mode & MODE_LMA != 0:
        if wide:
            if not canonical(cpu, target):
                general_protection(cpu)
            fast_code(cpu, (base + 16) | 3, CODE64, 3)
        else:
            target = target & 0xFFFF_FFFF
            fast_code(cpu, base | 3, CODE32, 3)
        value = cpu.gr[R11] & LOADED_FLAGS
        cpu.flags = (value & ~u64(0x8D5)) | 2
        set_status(cpu, value)
    else:
        target = target & 0xFFFF_FFFF
        fast_code(cpu, base | 3, CODE32, 3)
        cpu.flags = cpu.flags | Rflags.IF
    # SS keeps its attributes on AMD's processors but for the level; they are set here as SYSCALL
    # sets them, which no 64-bit code can tell.
    set_flat(cpu, SS, (base + 8) | 3, DATA32, 3)
    arm_trap(cpu)
    cpu.rip = target
    cpu.cpl = 3
    cpu.check = 1
    update_mode(cpu)


@insn("SYSRET", "0F 07", ref="APM3 3 SYSRET", raw=True, control=True, sized=True,
      feature="syscall")  # fmt: skip
def sysret(w: Width) -> Any:
    """Fast return from the operating system."""
    wide = w.bits == 64

    @typed(leaves=True, inline=True)
    def sysret(cpu: Cpu, rec: Record) -> None:
        system_return(cpu, wide)

    return sysret


@typed(leaves=True, inline=False)
def system_enter(cpu: Cpu) -> None:
    """SYSENTER; AMD's processors have it in legacy mode alone."""
    if cpu.mode & MODE_LMA != 0:
        undefined(cpu)
    selector = cpu.sysenter_cs & 0xFFFC
    if cpu.mode & MODE_PROTECTED == 0 or selector == 0:
        general_protection(cpu)
    cpu.gr[RSP] = cpu.sysenter_esp & 0xFFFF_FFFF
    cpu.rip = cpu.sysenter_eip & 0xFFFF_FFFF
    cpu.flags = cpu.flags & ~u64(Rflags.IF | Rflags.RF | Rflags.VM)
    fast_code(cpu, selector, CODE32, 0)
    set_flat(cpu, SS, selector + 8, DATA32, 0)
    cpu.cpl = 0
    update_mode(cpu)


@insn("SYSENTER", "0F 34", ref="APM3 3 SYSENTER", raw=True, control=True, feature="sep")
def sysenter() -> Any:
    """Fast call of the operating system, the older form."""

    @typed(leaves=True, inline=True)
    def sysenter(cpu: Cpu, rec: Record) -> None:
        system_enter(cpu)

    return sysenter


@typed(leaves=True, inline=False)
def system_exit(cpu: Cpu) -> None:
    """SYSEXIT."""
    if cpu.mode & MODE_LMA != 0:
        undefined(cpu)
    selector = cpu.sysenter_cs & 0xFFFC
    if cpu.mode & MODE_PROTECTED == 0 or selector == 0 or cpu.cpl != 0:
        general_protection(cpu)
    cpu.gr[RSP] = cpu.gr[RCX] & 0xFFFF_FFFF
    cpu.rip = cpu.gr[RDX] & 0xFFFF_FFFF
    fast_code(cpu, (selector + 16) | 3, CODE32, 3)
    set_flat(cpu, SS, (selector + 24) | 3, DATA32, 3)
    cpu.cpl = 3
    update_mode(cpu)


@insn("SYSEXIT", "0F 35", ref="APM3 3 SYSEXIT", raw=True, control=True, feature="sep")
def sysexit() -> Any:
    """Fast return from the operating system, the older form."""

    @typed(leaves=True, inline=True)
    def sysexit(cpu: Cpu, rec: Record) -> None:
        system_exit(cpu)

    return sysexit


@insn("SWAPGS", "0F 01 F8", ref="APM3 4 SWAPGS", raw=True, cpl0=True, long=True)
def swapgs() -> Any:
    """Exchange the bases of user's and kernel's GS."""

    @typed(inline=True)
    def swapgs(cpu: Cpu, rec: Record) -> None:
        kept = cpu.kernel_gs_base
        cpu.kernel_gs_base = cpu.seg_base[GS]
        cpu.seg_base[GS] = kept

    return swapgs


@typed(leaves=True)
def check_fsgsbase(cpu: Cpu) -> None:
    """#UD without CR4.FSGSBASE."""
    if cpu.cr4 & Cr4.FSGSBASE == 0:
        undefined(cpu)


@typed(leaves=True, inline=False)
def put_base(cpu: Cpu, number: u8, value: u64) -> None:
    """WRFSBASE, WRGSBASE."""
    check_fsgsbase(cpu)
    if not canonical(cpu, value):
        general_protection(cpu)
    cpu.seg_base[number] = value


def _base(name: str, number: int, digit: int) -> None:
    @insn(f"RD{name}BASE", f"F3 0F AE /{digit} Ry", ref=f"APM3 3 RD{name}BASE", raw=True, long=True,
          feature="fsgsbase")  # fmt: skip
    def read(w: Width) -> Any:
        """Base to register."""
        put, u = PUT[w.bits], w.u

        @typed(leaves=True, inline=True)
        def read(cpu: Cpu, rec: Record) -> None:
            check_fsgsbase(cpu)
            put(cpu, rec.rm, u(cpu.seg_base[number]))

        return read

    @insn(f"WR{name}BASE", f"F3 0F AE /{digit + 2} Ry", ref=f"APM3 3 WR{name}BASE", raw=True,
          long=True, feature="fsgsbase")  # fmt: skip
    def write(w: Width) -> Any:
        """Register to base."""
        u = w.u

        @typed(leaves=True, inline=True)
        def write(cpu: Cpu, rec: Record) -> None:
            put_base(cpu, u8(number), u64(u(cpu.gr[rec.rm])))

        return write


_base("FS", FS, 0)
_base("GS", GS, 1)
