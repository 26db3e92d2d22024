"""Opcodes B9xx: frame management, page states, the PSW's mask. ref: PoP 10 Control Instructions."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.psw import PswMask
from worldswitch.arch.s390x.translation import PAGE_SIZE, REGION3_SIZE, SEGMENT_SIZE
from worldswitch.hypervisor.outcome import RESUME, Outcome, ToMachine
from worldswitch.hypervisor.requests import TopologyFunction
from worldswitch.hypervisor.sie import keys, operands
from worldswitch.hypervisor.sie.access import check_low_address, effective, real_to_absolute
from worldswitch.hypervisor.sie.instructions.op_b2 import interlock
from worldswitch.hypervisor.sie.instructions.privilege import Instructions, require
from worldswitch.hypervisor.sie.page_states import Order

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcodes B9")
HIGH = 0xFFFF_FFFF_0000_0000
LOW_WORD = 0xFFFF_FFFF
PFMF_RESERVED = 0xFFFC_0101
PFMF_NQ, PFMF_SK, PFMF_CF, PFMF_FSC = 0x2_0000, 0x1_0000, 0x8000, 0x7000
PFMF_MR, PFMF_MC, PFMF_KEY = 0x0400, 0x0200, 0xFE
FRAME_4K, FRAME_1M, FRAME_2G = 0x0000, 0x1000, 0x2000
PTF_RESERVED = 0xFFFF_FFFF_FFFF_FF00

for _code in (0x8A, 0x8E, 0x8F):
    group.on(_code, "ipte_interlock")(interlock)


@group.on(0x8D, "epsw", privileged=False)
def epsw(vcpu: "SieVcpu") -> Outcome:
    """EXTRACT PSW: the halves of the mask."""
    r1, r2 = operands.registers_rre(vcpu)
    mask = vcpu.sd.gpsw_mask
    vcpu.gr[r1] = vcpu.gr[r1] & HIGH | mask >> 32
    if r2:
        vcpu.gr[r2] = vcpu.gr[r2] & HIGH | mask & LOW_WORD
    return RESUME


@group.on(0xA2, "ptf")
def ptf(vcpu: "SieVcpu") -> Outcome:
    """PERFORM TOPOLOGY FUNCTION: the topology is the machine's."""
    require(vcpu.vm.has(Facility.CONFIGURATION_TOPOLOGY), ProgramCode.OPERATION)
    r1, _ = operands.registers_rre(vcpu)
    require(not vcpu.gr[r1] & PTF_RESERVED)
    return ToMachine(TopologyFunction(vcpu.gr[r1], r1))


@group.on(0xAB, "essa", privileged=False)
def essa(vcpu: "SieVcpu") -> Outcome:
    """EXTRACT AND SET STORAGE ATTRIBUTES, if the guest has collaborative memory management."""
    require(vcpu.vm.options.cmma, ProgramCode.OPERATION)
    require(not vcpu.problem_state(), ProgramCode.PRIVILEGED_OPERATION)
    order = vcpu.sd.ipb >> 28
    no_translate = vcpu.vm.has(Facility.CMM_NO_TRANSLATE)
    require(order <= (Order.SET_STABLE_NODAT if no_translate else Order.SET_STABLE_IF_RESIDENT))
    r1, r2 = operands.registers_rre(vcpu)
    frame = keys.frame_of(vcpu, vcpu.gr[r2])
    states = vcpu.vm.page_states
    vcpu.gr[r1] = states.state(frame // PAGE_SIZE)
    if states.apply(frame // PAGE_SIZE, Order(order)):
        vcpu.vm.gmap.discard(frame)
    return RESUME


@group.on(0xAF, "pfmf", privileged=False)
def pfmf(vcpu: "SieVcpu") -> Outcome:
    """PERFORM FRAME MANAGEMENT FUNCTION: clear frames, set their keys."""
    vm = vcpu.vm
    require(vm.has(Facility.EDAT_1), ProgramCode.OPERATION)
    require(not vcpu.problem_state(), ProgramCode.PRIVILEGED_OPERATION)
    r1, r2 = operands.registers_rre(vcpu)
    function = vcpu.gr[r1]
    require(not function & PFMF_RESERVED)
    nonquiescing = vm.has(Facility.NONQUIESCING_KEY_SETTING)
    require(not function & PFMF_NQ or nonquiescing)
    conditional = vm.has(Facility.CONDITIONAL_SSKE)
    reference = conditional and bool(function & PFMF_MR)
    change = conditional and bool(function & PFMF_MC)
    start = effective(vcpu, vcpu.gr[r2]) & -PAGE_SIZE
    if function & PFMF_CF:
        check_low_address(vcpu, start)
    first, end = _frames(vcpu, function & PFMF_FSC, start)
    for frame in range(first, end, PAGE_SIZE):
        require(vm.memory.has(frame), ProgramCode.ADDRESSING)
        if function & PFMF_CF:
            vm.memory.write(frame, bytes(PAGE_SIZE))
        if function & PFMF_SK:
            keys.enable(vcpu)
            keys.set_key(vcpu, frame, function & PFMF_KEY, reference, change)
    if function & PFMF_FSC:
        keys.advance_frames(vcpu, r2, end)
    return RESUME


def _frames(vcpu: "SieVcpu", size_code: int, start: int) -> tuple[int, int]:
    """First and end absolute address by the frame-size code. Only a 4 KiB frame's is real."""
    if size_code == FRAME_4K:
        first = real_to_absolute(vcpu.prefix, start)
        return first, first + PAGE_SIZE
    if size_code == FRAME_1M:
        return start, (start & -SEGMENT_SIZE) + SEGMENT_SIZE
    wide = vcpu.sd.gpsw_mask & (PswMask.EA | PswMask.BA)
    require(size_code == FRAME_2G and vcpu.vm.has(Facility.EDAT_2) and wide)
    return start, (start & -REGION3_SIZE) + REGION3_SIZE
