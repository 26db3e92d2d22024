"""PER events of a guest at an exit: which the guest sees, which only the person who debugs it.

ref: PoP 4 Program-Event Recording
"""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.control_registers import Cr9
from worldswitch.arch.s390x.program import PER, PerCode, ProgramCode
from worldswitch.arch.s390x.psw import AS_MASK, AS_SHIFT, AddressSpace, PswMask
from worldswitch.arch.s390x.translation import Asce
from worldswitch.hypervisor.sie.access import effective
from worldswitch.hypervisor.sie.events import ProgramEvent
from worldswitch.hypervisor.sie.registers import MASK64

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

CR9_EVENTS_SHIFT = 24
ATMID_OLD_SPACE = 0x0C
ATMID_OLD_SPACE_SHIFT = 2


def in_range(vcpu: "SieVcpu", address: int) -> bool:
    """Whether an address is in the storage area of control registers 10 and 11, which may wrap."""
    first, last = vcpu.sd.gcr[10], vcpu.sd.gcr[11]
    if first <= last:
        return first <= address <= last
    return address >= first or address <= last


def fetched_address(vcpu: "SieVcpu") -> int:
    """The address of the intercepted instruction, or of its EXECUTE: the PSW points behind it."""
    return effective(vcpu, (vcpu.sd.gpsw_addr - vcpu.instruction_length()) & MASK64)


def instruction_fetch_event(vcpu: "SieVcpu", address: int) -> ProgramEvent | None:
    """The PER event of an instruction that the hypervisor completed, if the guest is to take it.

    The interception has said that the fetch of the instruction at `address` was an event.
    """
    sd = vcpu.sd
    event = ProgramEvent(PER, per_code=int(PerCode.INSTRUCTION_FETCH), per_address=address)
    if vcpu.debug is None:
        return event
    vcpu.debug.look(vcpu, int(PerCode.INSTRUCTION_FETCH), address)
    wanted = sd.gpsw_mask & PswMask.PER and sd.gcr[9] & Cr9.INSTRUCTION_FETCH
    return event if wanted and in_range(vcpu, address) else None


def filter_program(vcpu: "SieVcpu") -> bool:
    """At a program interception of a guest that is debugged, take away what the guest did not ask
    for; whether anything is left for it."""
    sd, debug = vcpu.sd, vcpu.debug
    if debug is None or not sd.iprcc & PER:
        return True
    debug.look(vcpu, sd.perc, sd.peraddr)
    _filter_events(vcpu)
    if sd.iprcc == ProgramCode.SPACE_SWITCH:
        _filter_space_switch(vcpu)
    return sd.iprcc != 0


def _filter_events(vcpu: "SieVcpu") -> None:
    sd = vcpu.sd
    cr9 = sd.gcr[9]
    events = sd.perc & cr9 >> CR9_EVENTS_SHIFT
    if not sd.gpsw_mask & PswMask.PER:
        events = 0
    restricted = cr9 & Cr9.BRANCH_ADDRESS_CONTROL
    if events & PerCode.SUCCESSFUL_BRANCHING and restricted and not in_range(vcpu, sd.gpsw_addr):
        events &= ~PerCode.SUCCESSFUL_BRANCHING
    if events & PerCode.INSTRUCTION_FETCH and not in_range(vcpu, sd.peraddr):
        events &= ~PerCode.INSTRUCTION_FETCH
    # UNMODELLED: which bytes a storage-alteration event touched is not known here, so a guest that
    # has such events on may see one outside its area while it is debugged.
    sd.perc = events
    if not events:
        sd.iprcc &= ~PER


def _filter_space_switch(vcpu: "SieVcpu") -> None:
    """PER enforces space-switch events: keep one only if a guest's own control asks for it."""
    sd = vcpu.sd
    new = (sd.gpsw_mask & AS_MASK) >> AS_SHIFT
    was_home = (sd.peratmid & ATMID_OLD_SPACE) >> ATMID_OLD_SPACE_SHIFT == AddressSpace.HOME
    primary = bool(sd.gcr[1] & Asce.SPACE_SWITCH_EVENT)
    home = bool(sd.gcr[13] & Asce.SPACE_SWITCH_EVENT)
    old = bool(sd.tecmc & 1 << 31)
    sd.iprcc = 0
    if ((new == AddressSpace.HOME) != was_home and (primary or home)) or (
        new == AddressSpace.PRIMARY and not was_home and (primary or old)
    ):
        sd.iprcc = int(ProgramCode.SPACE_SWITCH)
