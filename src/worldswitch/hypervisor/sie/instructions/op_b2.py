"""Opcodes B2xx: control instructions of formats S and RRE. ref: PoP 10 Control Instructions."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.stsi import RESERVED_R0, RESERVED_R1, Level
from worldswitch.hypervisor.outcome import RESUME, Outcome, Resume, ToMachine
from worldswitch.hypervisor.requests import ServiceCall, StoreSystemInformation
from worldswitch.hypervisor.sie import keys, operands
from worldswitch.hypervisor.sie.access import (
    check_low_address,
    effective,
    read_logical,
    real_to_absolute,
    translate_logical,
    write_logical,
    write_real,
)
from worldswitch.hypervisor.sie.dat import Access
from worldswitch.hypervisor.sie.instructions.privilege import Instructions, load_psw, require
from worldswitch.hypervisor.sie.sthyi import sthyi as store_hypervisor_information

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcodes B2")
PREFIX = 0x7FFF_E000
PREFIX_AREA = 0x2000
SCCB_ADDRESS = 0x7FFF_FFF8
HIDDEN_SCCB = 0x4000
"""Stands for the address of a protected guest's control block, which the machine does not learn."""
SSKE_NQ, SSKE_MR, SSKE_MC, SSKE_MB = 8, 4, 2, 1
NOT_AVAILABLE = 3
LOW_WORD = 0xFFFF_FFFF


def _fetch(vcpu: "SieVcpu", size: int, boundary: int) -> int:
    """The storage operand as a number."""
    address, register = operands.storage(vcpu)
    require(not address & boundary - 1)
    return int.from_bytes(read_logical(vcpu, address, register, size), "big")


def _store(vcpu: "SieVcpu", value: int, size: int, boundary: int) -> None:
    address, register = operands.storage(vcpu)
    require(not address & boundary - 1)
    write_logical(vcpu, address, register, value.to_bytes(size, "big"))


@group.on(0x02, "stidp")
def stidp(vcpu: "SieVcpu") -> Outcome:
    """STORE CPU ID: the guest's, which says that a hypervisor provides the CPU."""
    _store(vcpu, vcpu.vm.cpu_id, 8, 8)
    return RESUME


@group.on(0x04, "sck")
def sck(vcpu: "SieVcpu") -> Outcome:
    """SET CLOCK: the guest's TOD clock moves by way of the epoch."""
    vcpu.timers.set_tod(_fetch(vcpu, 8, 8))
    vcpu.set_cc(0)
    return RESUME


@group.on(0x06, "sckc")
def sckc(vcpu: "SieVcpu") -> Outcome:
    """SET CLOCK COMPARATOR, if its interception was asked for."""
    vcpu.sd.ckc = _fetch(vcpu, 8, 8)
    return RESUME


@group.on(0x08, "spt")
def spt(vcpu: "SieVcpu") -> Outcome:
    """SET CPU TIMER, if its interception was asked for."""
    vcpu.timers.set_cpu_timer(_fetch(vcpu, 8, 8))
    return RESUME


@group.on(0x0D, "ptlb")
def ptlb(vcpu: "SieVcpu") -> Outcome:
    """PURGE TLB, if its interception was asked for."""
    vcpu.flush_translations()
    return RESUME


@group.on(0x10, "spx")
def spx(vcpu: "SieVcpu") -> Outcome:
    """SET PREFIX."""
    value = _fetch(vcpu, 4, 4) & PREFIX
    require(vcpu.vm.memory.has(value, PREFIX_AREA), ProgramCode.ADDRESSING)
    vcpu.set_prefix(value)
    if vcpu.vm.sink is not None:
        vcpu.trace("prefix", set=1, value=value)
    return RESUME


@group.on(0x11, "stpx")
def stpx(vcpu: "SieVcpu") -> Outcome:
    """STORE PREFIX."""
    _store(vcpu, vcpu.prefix, 4, 4)
    return RESUME


@group.on(0x12, "stap")
def stap(vcpu: "SieVcpu") -> Outcome:
    """STORE CPU ADDRESS."""
    _store(vcpu, vcpu.address, 2, 2)
    return RESUME


@group.on(0x20, "servc")
def servc(vcpu: "SieVcpu") -> Outcome:
    """Service call: the command word in R1, its control block's absolute address in R2."""
    r1, r2 = operands.registers_rre(vcpu)
    address = vcpu.gr[r2]
    if vcpu.protected:  # the Ultravisor has checked the block, which is in the SIDA
        return ToMachine(ServiceCall(vcpu.gr[r1] & LOW_WORD, HIDDEN_SCCB))
    require(vcpu.vm.memory.has(address), ProgramCode.ADDRESSING)
    require(not address & ~SCCB_ADDRESS)
    area = address & -PREFIX_AREA
    require(area not in (0, vcpu.prefix))
    return ToMachine(ServiceCall(vcpu.gr[r1] & LOW_WORD, address))


def interlock(vcpu: "SieVcpu") -> Outcome:
    """An instruction that needs the IPTE interlock, which the hypervisor held: execute it again.

    On one thread nothing holds the interlock across exits; SIE takes it at the next try.
    """
    return Resume(advance=-vcpu.instruction_length())


for _code, _mnemonic in ((0x21, "ipte_interlock"), (0x50, "csp_interlock")):
    group.on(_code, _mnemonic)(interlock)


def _interpreted(vcpu: "SieVcpu") -> bool:
    """Whether SIE executes key instructions itself once keys are in use."""
    keys.enable(vcpu)
    return vcpu.vm.features.skey


def _retry(vcpu: "SieVcpu") -> Outcome:
    return Resume(advance=-vcpu.instruction_length())


@group.on(0x29, "iske")
def iske(vcpu: "SieVcpu") -> Outcome:
    """INSERT STORAGE KEY EXTENDED."""
    if _interpreted(vcpu):
        return _retry(vcpu)
    r1, r2 = operands.registers_rre(vcpu)
    key = vcpu.vm.memory.get_key(keys.frame_of(vcpu, vcpu.gr[r2]))
    vcpu.gr[r1] = vcpu.gr[r1] & ~0xFF | key
    return RESUME


@group.on(0x2A, "rrbe")
def rrbe(vcpu: "SieVcpu") -> Outcome:
    """RESET REFERENCE BIT EXTENDED."""
    if _interpreted(vcpu):
        return _retry(vcpu)
    _, r2 = operands.registers_rre(vcpu)
    vcpu.set_cc(keys.reset_reference(vcpu, keys.frame_of(vcpu, vcpu.gr[r2])))
    return RESUME


@group.on(0x2B, "sske")
def sske(vcpu: "SieVcpu") -> Outcome:
    """SET STORAGE KEY EXTENDED, conditional and multiple-block forms as the guest has them."""
    if _interpreted(vcpu):
        return _retry(vcpu)
    vm, m3 = vcpu.vm, operands.field_m3(vcpu)
    if not vm.has(Facility.EDAT_1):
        m3 &= ~SSKE_MB
    if not vm.has(Facility.CONDITIONAL_SSKE):
        m3 &= ~(SSKE_MC | SSKE_MR)
    if not vm.has(Facility.NONQUIESCING_KEY_SETTING):
        m3 &= ~SSKE_NQ
    r1, r2 = operands.registers_rre(vcpu)
    key, start = vcpu.gr[r1] & keys.ALL_BITS, effective(vcpu, vcpu.gr[r2]) & -4096
    end = (start & -(1 << 20)) + (1 << 20) if m3 & SSKE_MB else start + 4096
    reference, change = bool(m3 & SSKE_MR), bool(m3 & SSKE_MC)
    result = 0
    for page in range(start, end, 4096):
        frame = page if m3 & SSKE_MB else keys.frame_of(vcpu, page)
        require(vm.memory.has(frame), ProgramCode.ADDRESSING)
        result = keys.set_key(vcpu, frame, key, reference, change)
    if reference or change:
        _finish_conditional(vcpu, r1, result, bool(m3 & SSKE_MB))
    if m3 & SSKE_MB:
        keys.advance_frames(vcpu, r2, end)
    return RESUME


def _finish_conditional(vcpu: "SieVcpu", r1: int, result: int, multiple: bool) -> None:
    """The condition code and the old key; condition code 3 for several blocks."""
    if multiple:
        vcpu.set_cc(3)
        return
    old = result if result >= 0 else -1 - result
    vcpu.gr[r1] = vcpu.gr[r1] & ~0xFF00 | old << 8
    vcpu.set_cc(1 if result >= 0 else 0)


@group.on(0x2C, "tb")
def tb(vcpu: "SieVcpu") -> Outcome:
    """TEST BLOCK: the frame is cleared and always usable."""
    _, r2 = operands.registers_rre(vcpu)
    address = effective(vcpu, vcpu.gr[r2]) & -4096
    check_low_address(vcpu, address)
    absolute = real_to_absolute(vcpu.prefix, address)
    require(vcpu.vm.memory.has(absolute), ProgramCode.ADDRESSING)
    vcpu.vm.memory.write(absolute, bytes(4096))
    vcpu.set_cc(0)
    vcpu.gr[0] = 0
    return RESUME


@group.on(0x56, "sthyi_intercepted", privileged=False)
def sthyi(vcpu: "SieVcpu") -> Outcome:
    """STORE HYPERVISOR INFORMATION, which is not privileged."""
    return store_hypervisor_information(vcpu)


@group.on(0x7D, "stsi")
def stsi(vcpu: "SieVcpu") -> Outcome:
    """STORE SYSTEM INFORMATION: level 0 is answered here, the blocks are the machine's."""
    gr0, gr1 = vcpu.gr[0], vcpu.gr[1]
    function = gr0 >> 28 & 0xF
    if function > Level.VIRTUAL_MACHINE and function != Level.TOPOLOGY:
        vcpu.set_cc(NOT_AVAILABLE)
        return RESUME
    require(not gr0 & RESERVED_R0 and not gr1 & RESERVED_R1)
    if function == Level.CURRENT:
        vcpu.gr[0] = gr0 & ~LOW_WORD | Level.VIRTUAL_MACHINE << 28
        vcpu.set_cc(0)
        return RESUME
    if function == Level.TOPOLOGY and not vcpu.vm.has(Facility.CONFIGURATION_TOPOLOGY):
        vcpu.set_cc(NOT_AVAILABLE)
        return RESUME
    if vcpu.protected:
        return ToMachine(StoreSystemInformation(function, gr0 & 0xFF, gr1 & 0xFFFF, 0))
    address, register = operands.storage(vcpu)
    require(not address & 0xFFF)
    where = translate_logical(vcpu, address, register, Access.STORE)
    return ToMachine(StoreSystemInformation(function, gr0 & 0xFF, gr1 & 0xFFFF, where))


@group.on(0xB1, "stfl")
def stfl(vcpu: "SieVcpu") -> Outcome:
    """STORE FACILITY LIST at real location 200."""
    data = vcpu.vm.facility_word().to_bytes(4, "big")
    write_real(vcpu, Lowcore.offset_of("stfl_fac_list"), data)
    return RESUME


@group.on(0xB2, "lpswe")
def lpswe(vcpu: "SieVcpu") -> Outcome:
    """LOAD PSW EXTENDED."""
    address, register = operands.storage(vcpu)
    require(not address & 7)
    data = read_logical(vcpu, address, register, 16)
    mask, target = int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big")
    return load_psw(vcpu, mask, target)
