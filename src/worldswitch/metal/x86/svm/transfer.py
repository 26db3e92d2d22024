"""What VMRUN and #VMEXIT move between the processor and a save area: a guest's, or the host's own.

The host save area has the layout of a VMCB's save area: which one it has is the processor's choice.
IMPDEF: so is what of the host's state goes there. ref: APM2 15.5.1, 15.6
"""

from worldswitch.arch.x86.registers import Cr0, Efer, Rflags
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import (
    i64,
    peek_u8,
    peek_u16,
    peek_u32,
    peek_u64,
    poke_u8,
    poke_u16,
    poke_u32,
    poke_u64,
    typed,
    u16,
    u32,
    u64,
)
from worldswitch.metal.x86.control import CR0_DEFINED
from worldswitch.metal.x86.flags import rflags, set_status
from worldswitch.metal.x86.state import CS, DS, ES, RAX, RSP, Cpu
from worldswitch.metal.x86.svm.block import save
from worldswitch.metal.x86.svm.checks import CR0, CR3, CR4, DR6, DR7, EFER, S_CET
from worldswitch.metal.x86.svm.features import SVM_SHADOW_STACKS

SEGMENTS = save("es")
GDTR, IDTR = save("gdtr"), save("idtr")
CPL, RFLAGS, RIP, RSP_FIELD, RAX_FIELD = (
    save(name) for name in ("cpl", "rflags", "rip", "rsp", "rax")
)
CR2 = save("cr2")
SSP, ISST = save("ssp"), save("isst_addr")
DBGCTL = save("dbgctl")
BR_FROM, BR_TO = save("br_from"), save("br_to")
EXCP_FROM, EXCP_TO = save("last_excp_from"), save("last_excp_to")
SEGMENT_SIZE = 16
OTHER_FLAGS = 0x3F_7700
"""RFLAGS bits that are neither status flags nor reserved."""
LIMIT_ALL = 0xFFFF_FFFF


@typed(inline=True)
def canonicalize(cpu: Cpu, address: u64) -> u64:
    """The address with its highest implemented bit copied upwards."""
    shift = 64 - u64(cpu.linear_bits)
    return u64(i64(address << shift) >> shift)


@typed(inline=True)
def store_segment_at(cpu: Cpu, where: u64, n: u64) -> None:
    """Store a segment register with its hidden part at a host address."""
    poke_u16(where, cpu.seg_selector[n])
    poke_u16(where + 2, cpu.seg_attr[n])
    poke_u32(where + 4, cpu.seg_limit[n])
    poke_u64(where + 8, cpu.seg_base[n])


@typed(inline=True)
def load_segment_at(cpu: Cpu, where: u64, n: u64) -> None:
    """Load a segment register with its hidden part; the base becomes canonical."""
    cpu.seg_selector[n] = peek_u16(where)
    cpu.seg_attr[n] = peek_u16(where + 2) & 0xFFF
    cpu.seg_limit[n] = peek_u32(where + 4)
    cpu.seg_base[n] = canonicalize(cpu, peek_u64(where + 8))


@typed(inline=False)
def store_state(cpu: Cpu, at: u64) -> None:
    """Store what VMRUN and #VMEXIT always switch; `at`: host address of a block like a VMCB."""
    n: u64 = ES
    while n <= DS:
        store_segment_at(cpu, at + SEGMENTS + n * SEGMENT_SIZE, n)
        n += 1
    poke_u32(at + GDTR + 4, u32(cpu.gdtr_limit))
    poke_u64(at + GDTR + 8, cpu.gdtr_base)
    poke_u32(at + IDTR + 4, u32(cpu.idtr_limit))
    poke_u64(at + IDTR + 8, cpu.idtr_base)
    poke_u8(at + CPL, cpu.cpl)
    poke_u64(at + EFER, cpu.efer)
    poke_u64(at + CR4, cpu.cr4)
    poke_u64(at + CR3, cpu.cr3)
    poke_u64(at + CR0, cpu.cr0)
    poke_u64(at + CR2, cpu.cr2)
    poke_u64(at + DR6, cpu.dr[6])
    poke_u64(at + DR7, cpu.dr[7])
    poke_u64(at + RFLAGS, rflags(cpu))
    poke_u64(at + RIP, cpu.rip)
    poke_u64(at + RSP_FIELD, cpu.gr[RSP])
    poke_u64(at + RAX_FIELD, cpu.gr[RAX])
    if cpu.svm_features & SVM_SHADOW_STACKS != 0:
        poke_u64(at + S_CET, cpu.s_cet)
        poke_u64(at + SSP, cpu.ssp)
        poke_u64(at + ISST, cpu.interrupt_ssp_table)


@typed(inline=False)
def load_state(cpu: Cpu, at: u64) -> None:
    """Load it; bits that no processor has are dropped, and LMA follows LME and PG."""
    if not is_flat_code(cpu):
        cpu.jump_generation += 1
    n: u64 = ES
    while n <= DS:
        load_segment_at(cpu, at + SEGMENTS + n * SEGMENT_SIZE, n)
        n += 1
    cpu.gdtr_limit = u16(peek_u32(at + GDTR + 4))
    cpu.gdtr_base = canonicalize(cpu, peek_u64(at + GDTR + 8))
    cpu.idtr_limit = u16(peek_u32(at + IDTR + 4))
    cpu.idtr_base = canonicalize(cpu, peek_u64(at + IDTR + 8))
    cpu.cr0 = (peek_u64(at + CR0) & CR0_DEFINED) | Cr0.ET
    cpu.cr3 = peek_u64(at + CR3)
    cpu.cr4 = peek_u64(at + CR4) & cpu.cr4_mask
    efer = peek_u64(at + EFER) & (cpu.efer_mask | Efer.SVME) & ~u64(Efer.LMA)
    if efer & Efer.LME != 0 and cpu.cr0 & Cr0.PG != 0:
        efer = efer | Efer.LMA
    cpu.efer = efer
    flags = peek_u64(at + RFLAGS)
    if efer & Efer.LMA != 0 or cpu.cr0 & Cr0.PE == 0:
        flags = flags & ~u64(Rflags.VM)
    set_status(cpu, flags)
    cpu.flags = (flags & OTHER_FLAGS) | Rflags.ONE
    cpu.cpl = peek_u8(at + CPL) & 3
    if cpu.cr0 & Cr0.PE == 0:
        cpu.cpl = 0
    elif cpu.flags & Rflags.VM != 0:
        cpu.cpl = 3
    cpu.rip = peek_u64(at + RIP)
    cpu.gr[RSP] = peek_u64(at + RSP_FIELD)
    cpu.gr[RAX] = peek_u64(at + RAX_FIELD)
    if cpu.svm_features & SVM_SHADOW_STACKS != 0:
        cpu.s_cet = peek_u64(at + S_CET)
        cpu.ssp = peek_u64(at + SSP)
        cpu.interrupt_ssp_table = peek_u64(at + ISST)
    if not is_flat_code(cpu):
        cpu.jump_generation += 1


@typed
def is_flat_code(cpu: Cpu) -> bool:
    """Whether jump targets depend on nothing of CS but what the jump cache's tag says."""
    if cpu.efer & Efer.LMA != 0 and cpu.seg_attr[CS] & SegAttr.L != 0:
        return True
    return cpu.seg_base[CS] == 0 and cpu.seg_limit[CS] == LIMIT_ALL


@typed(inline=False)
def store_branches(cpu: Cpu, at: u64) -> None:
    """Store DEBUGCTL and the last-branch registers. ref: APM2 15.23"""
    poke_u64(at + DBGCTL, cpu.debugctl)
    poke_u64(at + BR_FROM, cpu.last_branch_from)
    poke_u64(at + BR_TO, cpu.last_branch_to)
    poke_u64(at + EXCP_FROM, cpu.last_exception_from)
    poke_u64(at + EXCP_TO, cpu.last_exception_to)


@typed(inline=False)
def load_branches(cpu: Cpu, at: u64) -> None:
    """Load them."""
    cpu.debugctl = peek_u64(at + DBGCTL)
    cpu.last_branch_from = peek_u64(at + BR_FROM)
    cpu.last_branch_to = peek_u64(at + BR_TO)
    cpu.last_exception_from = peek_u64(at + EXCP_FROM)
    cpu.last_exception_to = peek_u64(at + EXCP_TO)
