"""Registers of a virtual CPU by name, for the machine and for people.

rax to r15, rip, rflags, cr0, cr2, cr3, cr4, cr8, dr0 to dr3, dr6, dr7, efer, xcr0, intr_shadow, the
selectors es to gs, ldtr and tr, and the MSRs that the control block holds: star, lstar, cstar,
sfmask, kernel_gs_base, fs_base, gs_base, sysenter_cs, sysenter_esp, sysenter_eip, g_pat, dbgctl.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from worldswitch.hypervisor.x86.state import DESCRIPTOR_NAMES, MASK64, Gr

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.vcpu import X86Vcpu

_GENERAL = {register.name.lower(): int(register) for register in Gr}
_PROPERTIES = frozenset({"rip", "rflags", "cr0", "cr2", "cr3", "cr4", "efer"})
_SYSTEM = frozenset(
    {
        "dr6", "dr7", "star", "lstar", "cstar", "sfmask", "kernel_gs_base", "fs_base", "gs_base",
        "sysenter_cs", "sysenter_esp", "sysenter_eip", "g_pat", "dbgctl",
    }
)  # fmt: skip
_BREAKPOINTS = {f"dr{n}": n for n in range(4)}
_SELECTORS = frozenset(DESCRIPTOR_NAMES) - {"gdtr", "idtr"}


def get_register(cpu: "X86Vcpu", name: str) -> int:
    """A register; KeyError for a name that is none."""
    if name in _GENERAL:
        return cpu.gr[_GENERAL[name]]
    if name in _PROPERTIES:
        return getattr(cpu, name)
    if name in _SYSTEM:
        return cpu.system(name)
    if name in _BREAKPOINTS:
        return cpu.registers.breakpoints[_BREAKPOINTS[name]]
    if name in _SELECTORS:
        return cpu.descriptor(name).selector
    match name:
        case "cr8":
            return cpu.lapic.tpr >> 4
        case "xcr0":
            return cpu.xcr0
        case "intr_shadow":
            return int(cpu.interrupt_shadow)
        case _:
            raise KeyError(f"there is no register {name!r}")


def set_register(cpu: "X86Vcpu", name: str, value: int) -> None:
    """Set one; of a segment register that is the selector, its hidden part stays."""
    if name == "intr_shadow":
        cpu.interrupt_shadow = bool(value)
        return
    value &= MASK64
    if name in _GENERAL:
        cpu.gr[_GENERAL[name]] = value
    elif name in _PROPERTIES:
        setattr(cpu, name, value)
    elif name in _SYSTEM:
        cpu.set_system(name, value)
    elif name in _BREAKPOINTS:
        cpu.registers.breakpoints[_BREAKPOINTS[name]] = value
    elif name in _SELECTORS:
        cpu.set_descriptor(name, replace(cpu.descriptor(name), selector=value & 0xFFFF))
    elif name == "cr8":
        cpu.lapic.write_tpr((value & 0xF) << 4)
    elif name == "xcr0":
        cpu.registers.xcr0 = value
    else:
        raise KeyError(f"there is no register {name!r}")
