"""Accesses to guest physical addresses that are no storage: the local APIC's page, and devices."""

from typing import TYPE_CHECKING

from worldswitch.hypervisor.outcome import ADVANCE, Outcome, Stopped, ToMachine
from worldswitch.hypervisor.requests import MmioRead, MmioWrite
from worldswitch.hypervisor.x86.decode import LOADS, Instruction, UndecodableError, decode
from worldswitch.hypervisor.x86.devices import MappedRegisters
from worldswitch.hypervisor.x86.emulate import (
    MASKS,
    execute,
    extended,
    read_register,
    write_register,
)
from worldswitch.hypervisor.x86.linear import fetch
from worldswitch.hypervisor.x86.memory import PAGE_OFFSET, PAGE_SIZE

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.vcpu import X86Vcpu

REMEMBERED = 1024
"""Decoded instructions that are kept for each size of code; a guest may have any number."""
CODE_16, CODE_32, CODE_64 = 0, 1, 2


class DecodedInstructions:
    """Decoded instructions of one virtual machine by their bytes, for each size of code."""

    def __init__(self) -> None:
        self._known: tuple[dict[bytes, Instruction], ...] = ({}, {}, {})

    def get(self, code: int, counted: bytes) -> Instruction:
        """The instruction in bytes behind their number; UndecodableError if it is none known."""
        known = self._known[code]
        insn = known.get(counted)
        if insn is None:
            text = counted[1 : 1 + counted[0]]
            insn = decode(text, code == CODE_64, 2 if code == CODE_16 else 4)
            if len(known) >= REMEMBERED:
                known.clear()
            known[counted] = insn
        return insn


def access(cpu: "X86Vcpu", address: int, counted: bytes) -> Outcome:
    """The guest's instruction touches what is no storage at a guest physical address.

    counted: the instruction's first bytes, as far as the processor has told, behind a byte with
    their number; if there are none they are fetched.
    """
    if not counted[0]:
        text = fetch(cpu, cpu.rip)
        counted = bytes((len(text),)) + text
    try:
        insn = cpu.vm.decoded.get(cpu.code_size(), counted)
    except UndecodableError as error:
        return Stopped(
            f"guest CPU {cpu.address} cannot go on: the instruction at {cpu.rip:#x} accesses "
            f"{address:#x}, which is no storage, and is not one that can be executed here: {error}"
        )
    if insn.simple and (address & PAGE_OFFSET) + insn.memory_size <= PAGE_SIZE:
        device = cpu.lapic if cpu.lapic.at(address) else cpu.vm.devices
        if insn.simple == LOADS:
            return _load(cpu, device, address, insn)
        return _store(cpu, device, address, insn)
    return cpu.emulate(execute(cpu, insn))


def _load(
    cpu: "X86Vcpu", device: MappedRegisters | None, address: int, insn: Instruction
) -> Outcome:
    size = insn.memory_size
    if device is not None:
        finish_load(cpu, insn, device.mmio_read(address, size))
        return ADVANCE[insn.length]

    def loaded(answer: int | None) -> Outcome:
        finish_load(cpu, insn, MASKS[size] if answer is None else answer & MASKS[size])
        return ADVANCE[insn.length]

    cpu.completion = loaded
    return ToMachine(MmioRead(address, size))


def finish_load(cpu: "X86Vcpu", insn: Instruction, value: int) -> None:
    """Write what was loaded to the instruction's register."""
    if insn.form.signed:
        value = extended(value, insn.memory_size, insn.size)
    write_register(cpu, insn.register, insn.size, value, insn.byte_high)


def _store(
    cpu: "X86Vcpu", device: MappedRegisters | None, address: int, insn: Instruction
) -> Outcome:
    size = insn.size
    if insn.form.operands == "M<I":
        value = insn.immediate & MASKS[size]
    else:
        value = read_register(cpu, insn.register, size, insn.byte_high)
    if device is None:
        return cpu.ask(MmioWrite(address, size, value), insn.length)
    device.mmio_write(address, size, value)
    return ADVANCE[insn.length]
