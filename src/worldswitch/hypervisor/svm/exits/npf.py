"""Nested page faults. ref: APM2 15.25.6 Nested versus Guest Page Faults"""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.svm_controls import Event
from worldswitch.arch.x86.svm_exits import NpfInfo, SvmExit
from worldswitch.hypervisor.outcome import RESUME, Outcome
from worldswitch.hypervisor.svm.exits.refused import unclaimed
from worldswitch.hypervisor.svm.exits.table import EXITS
from worldswitch.hypervisor.svm.words import (
    EXIT_INFO_1,
    EXIT_INFO_2,
    EXIT_INT_INFO,
    INSN_BYTES,
    INSN_LEN,
)
from worldswitch.hypervisor.x86 import mmio
from worldswitch.hypervisor.x86.events import undefined

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vcpu import SvmVcpu

WRITE, FETCH, RESERVED = int(NpfInfo.RW), int(NpfInfo.ID), int(NpfInfo.RSV)
FINAL, GUEST_TABLE = int(NpfInfo.FINAL), int(NpfInfo.GUEST_TABLE)
VALID = int(Event.V)
INSN_END = INSN_BYTES + 15
NO_BYTES = bytes(1)


@EXITS.on(SvmExit.NPF)
def exit_nested_page_fault(vcpu: "SvmVcpu") -> Outcome:
    """Storage that is not mapped yet, or what is no storage: a device.

    A store to read-only storage is the device's that it stands for.
    """
    q, vm = vcpu.q, vcpu.vm
    info, address = q[EXIT_INFO_1], q[EXIT_INFO_2]
    if info & RESERVED:
        return unclaimed(vcpu, "reserved bits in the nested page tables")
    if not vcpu.lapic.at(address) and vm.npt.resolve(address, bool(info & WRITE)) is not None:
        vcpu.statistics.count("nested_fault")
        if vm.sink is not None:
            vcpu.trace("nested_fault", gpa=address, info=info)
        return RESUME
    if not info & FINAL or info & GUEST_TABLE:
        return unclaimed(vcpu, "the guest's page tables are not in storage")
    if q[EXIT_INT_INFO] & VALID:
        return unclaimed(vcpu, "an event's delivery needs what is not in storage")
    if info & FETCH:
        # What is read of nothing is all ones, which is an invalid opcode.
        raise undefined()
    vcpu.statistics.count("inst_emul")
    if vm.decode_assists:
        return mmio.access(vcpu, address, bytes(vcpu.b[INSN_LEN:INSN_END]))
    return mmio.access(vcpu, address, NO_BYTES)
