"""I/O instructions, all in the group B2. ref: PoP 14 I/O Instructions.

The channel subsystem is the machine's; what is done here is what needs the pending interruptions.
"""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.io import InterruptionCode, IoInstruction
from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.hypervisor.outcome import RESUME, Outcome, ToMachine
from worldswitch.hypervisor.requests import IoInstruction as IoRequest
from worldswitch.hypervisor.sie import operands
from worldswitch.hypervisor.sie.access import (
    effective,
    translate_logical,
    write_logical,
    write_real,
)
from worldswitch.hypervisor.sie.dat import Access
from worldswitch.hypervisor.sie.events import GuestException, IoEvent
from worldswitch.hypervisor.sie.instructions.op_b2 import group
from worldswitch.hypervisor.sie.instructions.privilege import require

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

NOT_OPERATIONAL = 3
ALL_SUBCLASSES = 0xFF
SIGA = 0x74
LOW_WORD = 0xFFFF_FFFF
SHORT_CODE = 8
_I = IoInstruction
_STORED = {_I.STSCH: 52, _I.TSCH: 64, _I.STCRW: 4, _I.STCPS: 32}
_FETCHED = {_I.MSCH: 52, _I.SSCH: 32}


def _check_operand(vcpu: "SieVcpu", opcode: int) -> tuple[int, int]:
    """Address and access register of the operand, checked for alignment and access."""
    if opcode == _I.CHSC:
        r1, _ = operands.registers_rre(vcpu)
        address = effective(vcpu, vcpu.gr[r1])
        require(not address & 0xFFF)
        translate_logical(vcpu, address, r1, Access.STORE)
        return address, r1
    address, register = operands.storage(vcpu)
    size = _STORED.get(_I(opcode)) or _FETCHED.get(_I(opcode))
    if size is None:
        return 0, 0
    require(not address & 3)
    access = Access.STORE if opcode in _STORED else Access.FETCH
    for part in {address, address + size - 1}:
        translate_logical(vcpu, part, register, access)
    return effective(vcpu, address), register


def io_instruction(vcpu: "SieVcpu") -> Outcome:
    """An instruction for the channel subsystem; without one, nothing is operational."""
    opcode = vcpu.sd.ipa
    if not vcpu.vm.options.css_support:
        vcpu.set_cc(NOT_OPERATIONAL)
        return RESUME
    address, register = _check_operand(vcpu, opcode)
    subchannel = vcpu.gr[1] & LOW_WORD
    dequeued = False
    if opcode == _I.TSCH:
        dequeued = vcpu.vm.floating.take_io(ALL_SUBCLASSES, subchannel) is not None
    return ToMachine(IoRequest(opcode, address, register, subchannel, dequeued))


def siga(vcpu: "SieVcpu") -> Outcome:
    """SIGNAL ADAPTER: there are no queues."""
    vcpu.set_cc(NOT_OPERATIONAL)
    return RESUME


def tpi(vcpu: "SieVcpu") -> Outcome:
    """TEST PENDING INTERRUPTION: take one that control register 6 enables; its code is stored.

    At the operand's address, or in the lowcore if that is 0.
    """
    if not vcpu.vm.options.css_support:
        vcpu.set_cc(NOT_OPERATIONAL)
        return RESUME
    address, register = operands.storage(vcpu)
    address = effective(vcpu, address)
    require(not address & 3)
    event = vcpu.vm.floating.take_io(vcpu.sd.gcr6 >> 24 & 0xFF)
    if event is None:
        vcpu.set_cc(0)
        return RESUME
    try:
        _store_code(vcpu, event, address, register)
    except GuestException:
        vcpu.vm.floating.put_back_io(event)
        raise
    vcpu.set_cc(1)
    return RESUME


def _store_code(vcpu: "SieVcpu", event: IoEvent, address: int, register: int) -> None:
    code = InterruptionCode.new(
        subchannel_id=event.subchannel_id,
        subchannel_nr=event.subchannel_nr,
        parameter=event.parameter,
        identification=event.word,
    )
    if address:
        write_logical(vcpu, address, register, bytes(code)[:SHORT_CODE])
    else:
        write_real(vcpu, Lowcore.offset_of("subchannel_id"), bytes(code))


for _member in IoInstruction:
    _handler = tpi if _member is _I.TPI else io_instruction
    group.on(_member & 0xFF, _member.name.lower())(_handler)
group.on(SIGA, "siga")(siga)
