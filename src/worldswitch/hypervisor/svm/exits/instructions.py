"""Instructions that are intercepted. ref: APM2 15.9 Instruction Intercepts"""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.registers import Xcr0
from worldswitch.arch.x86.segments import SegmentNumber
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import Outcome, Yield
from worldswitch.hypervisor.requests import Monitor
from worldswitch.hypervisor.svm.exits.table import EXITS
from worldswitch.hypervisor.svm.words import EXIT_CODE, RAX
from worldswitch.hypervisor.x86.events import general_protection, undefined
from worldswitch.hypervisor.x86.linear import linear_address
from worldswitch.hypervisor.x86.state import MASK32, Gr

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vcpu import SvmVcpu

RCX, RDX, RBX = int(Gr.RCX), int(Gr.RDX), int(Gr.RBX)


@EXITS.on(SvmExit.CPUID)
def exit_cpuid(vcpu: "SvmVcpu") -> Outcome:
    """CPUID, as `CpuidPolicy` has it."""
    q, gr = vcpu.q, vcpu.registers.bank
    q[RAX], gr[RBX], gr[RCX], gr[RDX] = vcpu.cpuid(q[RAX] & MASK32, gr[RCX] & MASK32)
    return vcpu.skip()


@EXITS.on(SvmExit.HLT, SvmExit.IDLE_HLT)
def exit_hlt(vcpu: "SvmVcpu") -> Outcome:
    """HLT."""
    return vcpu.halt(vcpu.instruction_length())


@EXITS.on(SvmExit.PAUSE)
def exit_pause(vcpu: "SvmVcpu") -> Outcome:
    """PAUSE: the guest waits for another processor, which had better run."""
    return Yield(advance=vcpu.instruction_length())


@EXITS.on(SvmExit.MONITOR, SvmExit.MWAIT, SvmExit.MWAIT_CONDITIONAL)
def exit_monitor(vcpu: "SvmVcpu") -> Outcome:
    """MONITOR and MWAIT, which CPUID denies."""
    mwait = vcpu.q[EXIT_CODE] != SvmExit.MONITOR
    address = 0
    if not mwait:
        address = linear_address(vcpu, SegmentNumber.DS, vcpu.q[RAX], 1, False)
    vcpu.statistics.count("exit_mwait" if mwait else "exit_monitor")
    return vcpu.ask(Monitor(mwait, address), vcpu.instruction_length())


@EXITS.on(SvmExit.XSETBV)
def exit_xsetbv(vcpu: "SvmVcpu") -> Outcome:
    """XSETBV: the guest may turn on the components that CPUID tells it of. ref: APM2 11.5.2."""
    gr = vcpu.registers.bank
    value = (gr[RDX] & MASK32) << 32 | vcpu.q[RAX] & MASK32
    legal = not vcpu.cpl and not gr[RCX] & MASK32 and value & Xcr0.X87
    if not legal or value & ~vcpu.cpuid_policy.xcr0_mask:
        raise general_protection()
    vcpu.registers.xcr0 = value
    return vcpu.skip()


@EXITS.on(SvmExit.INVD, SvmExit.WBINVD)
def exit_cache(vcpu: "SvmVcpu") -> Outcome:
    """INVD and WBINVD: the host's caches are coherent, and its data stays."""
    return vcpu.skip()


@EXITS.on(SvmExit.RDPMC)
def exit_rdpmc(vcpu: "SvmVcpu") -> Outcome:
    """RDPMC of a counter that the guest does not have."""
    raise general_protection()


@EXITS.on(
    SvmExit.RSM, SvmExit.INVLPGA, SvmExit.VMRUN, SvmExit.VMMCALL, SvmExit.VMLOAD, SvmExit.VMSAVE,
    SvmExit.STGI, SvmExit.CLGI, SvmExit.SKINIT, SvmExit.RDPRU, SvmExit.INVLPGB,
    SvmExit.INVLPGB_ILLEGAL, SvmExit.MCOMMIT, SvmExit.TLBSYNC,
)  # fmt: skip
def exit_undefined(vcpu: "SvmVcpu") -> Outcome:
    """Instructions of facilities that the guest is told it does not have, SVM itself among them.

    EFER.SVME is set while it executes, so that it would otherwise have the host's use of them.
    """
    vcpu.statistics.count("exit_undefined")
    raise undefined()


def exit_reserved_register(vcpu: "SvmVcpu") -> Outcome:
    """MOV to and from control registers that do not exist."""
    raise undefined()


RESERVED_CRS = (1, 5, 6, 7, *range(9, 16))
EXITS.on(*(SvmExit(number + base) for number in RESERVED_CRS for base in (0x00, 0x10)))(
    exit_reserved_register
)
