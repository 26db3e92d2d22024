"""IN, OUT, INS and OUTS. ref: APM2 15.10.2 IOIO Intercept Information; APM3 3 INS, OUTS."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worldswitch.arch.x86.registers import Rflags
from worldswitch.arch.x86.segments import SegmentNumber
from worldswitch.hypervisor.outcome import ADVANCE, RESUME, Outcome, ToMachine
from worldswitch.hypervisor.requests import PortRead, PortWrite
from worldswitch.hypervisor.x86.emulate import (
    MASKS,
    MOST_ELEMENTS,
    Access,
    Emulation,
    load,
    step,
    store,
    write_register,
)
from worldswitch.hypervisor.x86.linear import linear_address, pieces
from worldswitch.hypervisor.x86.state import Gr

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.vcpu import X86Vcpu


@dataclass(frozen=True, slots=True)
class StringAccess:
    """An INS or OUTS: the port, bytes of an element and of addresses, and the source's segment."""

    port: int
    size: int
    into_storage: bool
    repeated: bool
    address_size: int
    segment: int
    length: int


def port_out(cpu: "X86Vcpu", port: int, size: int, length: int) -> Outcome:
    """OUT of `size` bytes; `length` bytes of instruction."""
    return cpu.ask(PortWrite(port, size, cpu.gr[Gr.RAX] & MASKS[size]), length)


def port_in(cpu: "X86Vcpu", port: int, size: int, length: int) -> Outcome:
    """IN of `size` bytes."""

    def arrived(answer: int | None) -> Outcome:
        write_register(cpu, Gr.RAX, size, MASKS[size] if answer is None else answer)
        return ADVANCE[length]

    cpu.completion = arrived
    return ToMachine(PortRead(port, size))


def string(cpu: "X86Vcpu", what: StringAccess) -> Outcome:
    """INS or OUTS, with or without REP, element by element."""
    return cpu.emulate(_elements(cpu, what))


def _elements(cpu: "X86Vcpu", what: StringAccess) -> Emulation:
    for _ in range(MOST_ELEMENTS):
        if what.repeated and not cpu.gr[Gr.RCX] & MASKS[what.address_size]:
            return ADVANCE[what.length]
        yield from _element(cpu, what)
        if not what.repeated:
            return ADVANCE[what.length]
        step(cpu, Gr.RCX, -1, what.address_size)
    return RESUME


def _element(cpu: "X86Vcpu", what: StringAccess) -> Access:
    size, width = what.size, what.address_size
    register = Gr.RDI if what.into_storage else Gr.RSI
    segment = SegmentNumber.ES if what.into_storage else what.segment
    offset = cpu.gr[register] & MASKS[width]
    linear = linear_address(cpu, segment, offset, size, what.into_storage)
    places = pieces(cpu, linear, size, what.into_storage)
    if what.into_storage:
        answer = yield PortRead(what.port, size)
        yield from store(cpu, places, MASKS[size] if answer is None else answer & MASKS[size])
    else:
        value = yield from load(cpu, places)
        yield PortWrite(what.port, size, value)
    step(cpu, register, -size if cpu.rflags & Rflags.DF else size, width)
    return 0
