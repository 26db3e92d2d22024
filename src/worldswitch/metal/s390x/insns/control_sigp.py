"""SIGNAL PROCESSOR: the orders between running processors here, the others in the machine.

ref: PoP 4 Signal-Processor Orders.
"""

from worldswitch.arch.s390x.sigp import SigpOrder, SigpStatus
from worldswitch.engine import typed, u8, u32, u64
from worldswitch.metal.blocks import AddressPointer
from worldswitch.metal.s390x.insn import Intercept, insn
from worldswitch.metal.s390x.leave import Exit, exit_to_machine
from worldswitch.metal.s390x.pending import PENDING_EMERGENCY_SIGNAL, PENDING_EXTERNAL_CALL
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.sie.area import ECA_SIGPI, interpret_sigp
from worldswitch.metal.s390x.state import Cpu, Record

SENSE = int(SigpOrder.SENSE)
EXTERNAL_CALL = int(SigpOrder.EXTERNAL_CALL)
EMERGENCY_SIGNAL = int(SigpOrder.EMERGENCY_SIGNAL)
SENSE_RUNNING_STATUS = int(SigpOrder.SENSE_RUNNING_STATUS)
STOPPED = int(SigpStatus.STOPPED)
CALL_PENDING = int(SigpStatus.EXTERNAL_CALL_PENDING)
NOT_RUNNING = int(SigpStatus.NOT_RUNNING)


@typed
def sense(target: Cpu) -> u64:
    """Status bits of SENSE; 0 if there is nothing to report."""
    status: u64 = 0
    if target.running != 1:
        status = STOPPED
    if target.pending & PENDING_EXTERNAL_CALL != 0:
        status = status | CALL_PENDING
    return status


@typed(inline=False)
def signal(cpu: Cpu, target: Cpu, order: u64) -> u64:
    """Carry out one of the four quick orders; its status bits."""
    if order == SENSE:
        return sense(target)
    if order == SENSE_RUNNING_STATUS:
        # Processors take turns: while this one executes, no other does.
        return u64(0) if target.cpu_address == cpu.cpu_address else u64(NOT_RUNNING)
    if order == EXTERNAL_CALL:
        if target.pending & PENDING_EXTERNAL_CALL != 0:
            return u64(CALL_PENDING)
        target.ext_call = cpu.cpu_address
        target.pending = target.pending | PENDING_EXTERNAL_CALL
    else:
        word = u64(cpu.cpu_address >> 6) & 3
        bit = u64(1) << u64(cpu.cpu_address & 63)
        target.emergency[word] = target.emergency[word] | bit
        target.pending = target.pending | PENDING_EMERGENCY_SIGNAL
    target.check = 1
    return 0


@typed
def is_quick(order: u64) -> bool:
    """Whether an order needs nothing but the two processors' states."""
    return (
        order == SENSE
        or order == EXTERNAL_CALL
        or order == EMERGENCY_SIGNAL
        or order == SENSE_RUNNING_STATUS
    )


@insn("SIGP", "AE", "RS_a", ref="PoP 10 SIGNAL PROCESSOR", privileged=True, control=True,
      intercept=Intercept("eca", ECA_SIGPI, when=False))  # fmt: skip
def sigp(cpu: Cpu, rec: Record, r1: u8, r3: u8, addr2: u64) -> None:
    """Signal the processor in R3; the parameter is in the odd one of R1 and R1 + 1."""
    order = addr2 & 0xFF
    address = cpu.gr[r3] & 0xFFFF
    if cpu.in_sie != 0 and cpu.sie_protected == 0:
        interpret_sigp(cpu, rec, r1, order, address)
        return
    if cpu.in_sie == 0 and is_quick(order) and address < cpu.cpu_count:
        target = Cpu.at(AddressPointer.at(cpu.machine_cpus + address * 8).cpu)
        status = signal(cpu, target, order)
        cpu.cc = 0
        if status != 0:
            set_low(cpu, r1, u32(status))
            cpu.cc = 1
    else:
        exit_to_machine(cpu, Exit.SIGP, order, address, cpu.gr[r1 | 1], u64(r1))
