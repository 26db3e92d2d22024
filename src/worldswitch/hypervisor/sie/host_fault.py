"""Host faults: the guest touched storage that the host's tables do not map, or may not."""

from dataclasses import replace
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.hypervisor.outcome import RESUME, Inject, Outcome, Stopped
from worldswitch.hypervisor.sie.access import read_instruction
from worldswitch.hypervisor.sie.events import GuestException, ProgramEvent

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

_C = ProgramCode
UNMAPPED = frozenset(
    {
        _C.SEGMENT_TRANSLATION, _C.PAGE_TRANSLATION, _C.ASCE_TYPE, _C.REGION_FIRST_TRANSLATION,
        _C.REGION_SECOND_TRANSLATION, _C.REGION_THIRD_TRANSLATION,
    }
)  # fmt: skip
ADDRESS = 0xFFFF_FFFF_FFFF_F000
UNKNOWN_LENGTH = 4
"""If the instruction itself cannot be fetched, its length is not known."""


def exit_host_fault(vcpu: "SieVcpu") -> Outcome:
    """Fill in the tables, or tell the guest that it has no storage there."""
    host = vcpu.host
    code, address = host.host_fault_code, host.host_fault_address & ADDRESS
    if vcpu.vm.sink is not None:
        vcpu.trace("host fault", code=code, address=address, store=int(host.host_fault_store))
    if code in UNMAPPED:
        if vcpu.vm.gmap.resolve(address, host.host_fault_store) is not None:
            vcpu.statistics.count("fault_mapped")
            return RESUME
        return addressing(vcpu)
    if code == _C.ADDRESSING:
        return addressing(vcpu)
    configuration = vcpu.vm.protected
    if code == _C.SECURE_STORAGE_ACCESS:
        vcpu.vm.export_page(address)
        return RESUME
    if code == _C.NON_SECURE_STORAGE_ACCESS and configuration is not None:
        configuration.make_secure(address)
        return RESUME
    return Stopped(
        f"the host took program interruption {code:#06x} for guest storage {address:#x} "
        f"while guest CPU {vcpu.address} ran",
        code,
    )


def addressing(vcpu: "SieVcpu") -> Outcome:
    """An addressing exception of the instruction at the PSW, which was nullified for the host but
    is suppressed for the guest: the old PSW points behind it."""
    try:
        length = len(read_instruction(vcpu, vcpu.sd.gpsw_addr))
        code, teid, access_id = int(_C.ADDRESSING), 0, 0
    except GuestException as exception:
        length = UNKNOWN_LENGTH
        event = exception.event
        code, teid, access_id = event.code, event.teid, event.exc_access_id
    event = ProgramEvent(
        code, teid=teid, exc_access_id=access_id, length=length, rewound=True, forward=length
    )
    return Inject(replace(event, forward=0) if event.nullifies else event)
