"""What VMLOAD and VMSAVE move: FS, GS, LDTR, TR, and the MSRs of fast system calls.

ref: APM2 15.5.2 VMSAVE and VMLOAD Instructions
"""

from worldswitch.engine import peek_u64, poke_u64, typed, u64
from worldswitch.metal.x86.state import FS, GS, LDTR, TR, Cpu
from worldswitch.metal.x86.svm.block import save
from worldswitch.metal.x86.svm.transfer import (
    SEGMENTS,
    canonicalize,
    load_segment_at,
    store_segment_at,
)

LDTR_FIELD, TR_FIELD = save("ldtr"), save("tr")
FS_FIELD, GS_FIELD = SEGMENTS + FS * 16, SEGMENTS + GS * 16
KERNEL_GS_BASE = save("kernel_gs_base")
STAR, LSTAR, CSTAR, SFMASK = (save(name) for name in ("star", "lstar", "cstar", "sfmask"))
SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP = (
    save(name) for name in ("sysenter_cs", "sysenter_esp", "sysenter_eip")
)


@typed(inline=False)
def vmload_from(cpu: Cpu, at: u64) -> None:
    """Load from the block at host address `at`; bases become canonical."""
    load_segment_at(cpu, at + FS_FIELD, FS)
    load_segment_at(cpu, at + GS_FIELD, GS)
    load_segment_at(cpu, at + LDTR_FIELD, LDTR)
    load_segment_at(cpu, at + TR_FIELD, TR)
    cpu.kernel_gs_base = canonicalize(cpu, peek_u64(at + KERNEL_GS_BASE))
    cpu.star = peek_u64(at + STAR)
    cpu.lstar = canonicalize(cpu, peek_u64(at + LSTAR))
    cpu.cstar = canonicalize(cpu, peek_u64(at + CSTAR))
    cpu.sfmask = peek_u64(at + SFMASK) & 0xFFFF_FFFF
    cpu.sysenter_cs = peek_u64(at + SYSENTER_CS) & 0xFFFF
    cpu.sysenter_esp = canonicalize(cpu, peek_u64(at + SYSENTER_ESP))
    cpu.sysenter_eip = canonicalize(cpu, peek_u64(at + SYSENTER_EIP))


@typed(inline=False)
def vmsave_to(cpu: Cpu, at: u64) -> None:
    """Save into the block at host address `at`."""
    store_segment_at(cpu, at + FS_FIELD, FS)
    store_segment_at(cpu, at + GS_FIELD, GS)
    store_segment_at(cpu, at + LDTR_FIELD, LDTR)
    store_segment_at(cpu, at + TR_FIELD, TR)
    poke_u64(at + KERNEL_GS_BASE, cpu.kernel_gs_base)
    poke_u64(at + STAR, cpu.star)
    poke_u64(at + LSTAR, cpu.lstar)
    poke_u64(at + CSTAR, cpu.cstar)
    poke_u64(at + SFMASK, cpu.sfmask)
    poke_u64(at + SYSENTER_CS, cpu.sysenter_cs)
    poke_u64(at + SYSENTER_ESP, cpu.sysenter_esp)
    poke_u64(at + SYSENTER_EIP, cpu.sysenter_eip)
