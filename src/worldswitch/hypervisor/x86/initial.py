"""Registers after RESET and INIT, and after a start-up IPI. ref: APM2 14.1"""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.cpuid import Leaf
from worldswitch.arch.x86.registers import (
    CR0_RESET,
    DR6_RESET,
    DR7_RESET,
    PAT_RESET,
    Cr0,
    Rflags,
)
from worldswitch.arch.x86.segments import SegAttr, SystemType
from worldswitch.hypervisor.x86.state import SEGMENT_NAMES, Gr, SegmentState

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.vcpu import X86Vcpu

RESET_RIP = 0xFFF0
RESET_CS = 0xF000
RESET_CS_BASE = 0xFFFF_0000
LIMIT = 0xFFFF
DATA = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_W | SegAttr.TYPE_A)
CODE = DATA | SegAttr.TYPE_CODE
TSS = int(SegAttr.P) | SystemType.TSS16_BUSY
LDT = int(SegAttr.P) | SystemType.LDT
CACHE_BITS = Cr0.CD | Cr0.NW
"""INIT leaves these as they are."""


def set_registers(cpu: "X86Vcpu", reset: bool) -> None:
    """The state after RESET, or after INIT. ref: APM2 14.1.3 Processor Initialization."""
    caches = CACHE_BITS if reset else cpu.cr0 & CACHE_BITS
    cpu.registers.clear(reset)
    for name in SEGMENT_NAMES:
        cpu.set_descriptor(name, SegmentState(0, 0, LIMIT, DATA))
    cpu.set_descriptor("cs", SegmentState(RESET_CS, RESET_CS_BASE, LIMIT, CODE))
    cpu.set_descriptor("gdtr", SegmentState(limit=LIMIT))
    cpu.set_descriptor("idtr", SegmentState(limit=LIMIT))
    cpu.set_descriptor("ldtr", SegmentState(limit=LIMIT, attributes=LDT))
    cpu.set_descriptor("tr", SegmentState(limit=LIMIT, attributes=TSS))
    cpu.cr0 = int(CR0_RESET & ~CACHE_BITS | caches)
    cpu.cr2 = cpu.cr3 = cpu.cr4 = 0
    cpu.efer = 0
    cpu.rflags = int(Rflags.ONE)
    cpu.rip = RESET_RIP
    cpu.gr[Gr.RSP] = 0
    cpu.gr[Gr.RAX] = 0
    cpu.gr[Gr.RDX] = cpu.cpuid_policy.query(Leaf.FEATURES, 0, 0, 0, 0)[0]
    cpu.set_system("dr6", DR6_RESET)
    cpu.set_system("dr7", DR7_RESET)
    if reset:
        cpu.set_system("g_pat", PAT_RESET)
        for name in _CLEARED:
            cpu.set_system(name, 0)


_CLEARED = (
    "star", "lstar", "cstar", "sfmask", "kernel_gs_base", "sysenter_cs", "sysenter_esp",
    "sysenter_eip",
)  # fmt: skip


def set_startup(cpu: "X86Vcpu", vector: int) -> None:
    """A start-up IPI: real mode from the beginning of page `vector` on. ref: APM2 16.5."""
    cpu.set_descriptor("cs", SegmentState(vector << 8, vector << 12, LIMIT, CODE))
    cpu.rip = 0
