"""Interceptions of protected guests: what the Ultravisor tells the hypervisor."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.state_description import SIDA_ORIGIN
from worldswitch.arch.s390x.translation import PAGE_SIZE
from worldswitch.arch.s390x.uv import (
    UV_CALL_OPCODE,
    ConvertToSecure,
    Share,
    UvCommand,
)
from worldswitch.hypervisor.outcome import RESUME, Outcome, Stopped, ToMachine, Yield
from worldswitch.hypervisor.requests import UnknownInstruction
from worldswitch.hypervisor.sie.instructions import groups
from worldswitch.hypervisor.sie.ultravisor import UltravisorError, call

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

SPX, SERVC = 0xB210, 0xB220
NOTIFIED_SERVICE = 0x4_3000
"""A service signal's parameter that stands for the control block that the Ultravisor knows."""


def exit_notification(vcpu: "SieVcpu") -> Outcome:
    """The Ultravisor has executed an instruction that the hypervisor must know of."""
    handler = _NOTIFICATIONS.get(vcpu.sd.ipa, _instruction)
    return handler(vcpu)


def _instruction(vcpu: "SieVcpu") -> Outcome:
    """Any other instruction is handled as if it were a plain guest's."""
    vcpu.statistics.count("exit_instruction")
    handler = groups.find(vcpu.sd.ipa, vcpu.sd.ipb)
    if handler is None:
        return ToMachine(UnknownInstruction(vcpu.sd.ipa, vcpu.sd.ipb))
    return handler(vcpu)


def _data_area(vcpu: "SieVcpu") -> int:
    return vcpu.sd.sidad & SIDA_ORIGIN


def _set_prefix(vcpu: "SieVcpu") -> Outcome:
    """SPX: the new prefix is in the instruction data area."""
    data = vcpu.host.storage.read(_data_area(vcpu), 4)
    vcpu.set_prefix(int.from_bytes(data, "big"))
    if vcpu.vm.sink is not None:
        vcpu.trace("prefix", set=1, value=vcpu.prefix)
    return RESUME


def _service_call(vcpu: "SieVcpu") -> Outcome:
    """SERVC is complete: its signal may be delivered now, and not at other interceptions.

    The parameter is the Ultravisor's to put in; any block's address makes the signal pending.
    """
    vcpu.vm.floating.notify_service(NOTIFIED_SERVICE)
    return RESUME


def _ultravisor_call(vcpu: "SieVcpu") -> Outcome:
    """The guest unshared a page: unpin it and make it secure again.

    If that cannot be done yet, the guest exits for the same call again, in its next slice.
    """
    configuration = vcpu.vm.protected
    storage = vcpu.host.storage
    guest_block = Share(storage.read(_data_area(vcpu), Share.block_size))
    command = guest_block.header.command
    if command != UvCommand.UNSHARE:
        vcpu.vm.warn(f"unexpected notification of Ultravisor call {command:#06x}")
        return RESUME
    if configuration is None:
        return Stopped("an Ultravisor call of a guest that is not protected")
    address = guest_block.address
    if vcpu.vm.gmap.resolve(address, True) is None:
        return Stopped(f"the guest unshared {address:#x}, where it has no storage")

    def fill(block: ConvertToSecure) -> None:
        block.configuration_handle, block.guest_address = configuration.handle, address

    try:
        call(vcpu.host, UvCommand.UNPIN_SHARED, ConvertToSecure, fill)
    except UltravisorError as error:
        vcpu.statistics.count("unpin_failed")
        if vcpu.vm.sink is not None:
            vcpu.trace("unpin failed", rc=error.rc)
        return Yield()
    return RESUME


def exit_prefix(vcpu: "SieVcpu") -> Outcome:
    """The prefix area is not secure: give both its pages to the guest.

    Where that cannot be done, it is tried again in the CPU's next slice: the guest executes
    nothing, so nothing else would end this one.
    """
    configuration = vcpu.vm.protected
    if configuration is None:
        return Stopped("a prefix interception of a guest that is not protected")
    try:
        for offset in (0, PAGE_SIZE):
            configuration.make_secure(vcpu.prefix + offset)
    except UltravisorError as error:
        vcpu.vm.warn(str(error))
        return Yield()
    return RESUME


_NOTIFICATIONS: dict[int, Callable[["SieVcpu"], Outcome]] = {
    SPX: _set_prefix,
    SERVC: _service_call,
    UV_CALL_OPCODE: _ultravisor_call,
}
