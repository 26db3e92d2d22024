"""What the machine answers for instructions that leave the processor: SIGP, DIAGNOSE, STSI, I/O."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from worldswitch.arch.s390x.models import CpuModel
from worldswitch.arch.s390x.sigp import SigpOrder, SigpStatus
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.arch.s390x.stsi import Sysib111, Sysib121, Sysib122, Sysib222, Sysib322
from worldswitch.arch.s390x.validity import set_validity_interception, validity
from worldswitch.machine.s390x.watchdog import Watchdog
from worldswitch.metal.s390x.pending import (
    PENDING_RESTART,
    PENDING_STOP,
)
from worldswitch.metal.s390x.processor import Processor

if TYPE_CHECKING:
    from worldswitch.machine.s390x.bare import S390Machine


class Registers(Protocol):
    """General registers by number."""

    def __getitem__(self, n: int, /) -> int: ...
    def __setitem__(self, n: int, value: int, /) -> None: ...


class Asking(Protocol):
    """The CPU whose instruction is answered: a processor, or a guest's under a hypervisor."""

    @property
    def gr(self) -> Registers: ...
    @property
    def cpu_address(self) -> int: ...
    def set_cc(self, value: int) -> None: ...
    def program(self, code: int) -> None: ...


class Memory(Protocol):
    """Storage by absolute address."""

    def write(self, address: int, data: bytes) -> None: ...


class Answering(Protocol):
    """A machine, as far as its services depend on it."""

    model: CpuModel
    watchdog: Watchdog

    @property
    def time(self) -> int: ...
    @property
    def cpu_count(self) -> int: ...
    @property
    def memory(self) -> Memory: ...
    def yield_slice(self) -> None: ...
    def ipl_diagnose(self, cpu: Asking, r1: int, r3: int) -> None: ...


HIGH = 0xFFFF_FFFF_0000_0000


def sigp(machine: "S390Machine", cpu: Processor) -> None:
    """SIGNAL PROCESSOR. ref: PoP 4 Signal-Processor Orders."""
    order, address, parameter, r1 = (cpu.raw.exit_args[n] for n in range(4))
    if order == SigpOrder.SET_ARCHITECTURE:
        _status(cpu, r1, SigpStatus.INVALID_PARAMETER if parameter & 0xFF == 0 else 0)
        return
    if address >= len(machine.processors):
        cpu.set_cc(3)
        return
    target = machine.processors[address]
    handler = _ORDERS.get(order)
    if handler is None:
        _status(cpu, r1, SigpStatus.INVALID_ORDER)
        return
    _status(cpu, r1, handler(cpu, target, parameter))


def _status(cpu: Processor, r1: int, status: int) -> None:
    """Condition code 0, or 1 with status bits in R1."""
    if status:
        cpu.gr[r1] = (cpu.gr[r1] & HIGH) | status
        cpu.set_cc(1)
    else:
        cpu.set_cc(0)


def _start(cpu: Processor, target: Processor, parameter: int) -> int:
    target.raw.running = 1
    return 0


def _stop(cpu: Processor, target: Processor, parameter: int) -> int:
    if target is cpu or not target.raw.running:
        target.raw.running = 0
    else:
        target.make_pending(PENDING_STOP)
    return 0


def _restart(cpu: Processor, target: Processor, parameter: int) -> int:
    target.make_pending(PENDING_RESTART)
    target.raw.running = 1
    return 0


def _stop_and_store(cpu: Processor, target: Processor, parameter: int) -> int:
    target.raw.running = 0
    target.store_status(0x1200 - 0x1200)
    return 0


def _reset(cpu: Processor, target: Processor, parameter: int) -> int:
    target.reset(clear_registers=False)
    return 0


def _cpu_reset(cpu: Processor, target: Processor, parameter: int) -> int:
    target.raw.pending = 0
    target.raw.running = 0
    return 0


def _set_prefix(cpu: Processor, target: Processor, parameter: int) -> int:
    address = parameter & 0x7FFF_E000
    if target.raw.running:
        return SigpStatus.INCORRECT_STATE
    if address + 8192 > target.storage.size:
        return SigpStatus.INVALID_PARAMETER
    target.raw.prefix = address
    target.call("controls_changed")
    target.call("purge_all")
    return 0


def _store_status(cpu: Processor, target: Processor, parameter: int) -> int:
    address = parameter & 0x7FFF_FE00
    if target.raw.running:
        return SigpStatus.INCORRECT_STATE
    if address + 512 > target.storage.size:
        return SigpStatus.INVALID_PARAMETER
    target.store_status(address)
    return 0


_ORDERS: dict[int, Callable[[Processor, Processor, int], int]] = {
    SigpOrder.START: _start,
    SigpOrder.STOP: _stop,
    SigpOrder.RESTART: _restart,
    SigpOrder.STOP_AND_STORE_STATUS: _stop_and_store,
    SigpOrder.INITIAL_CPU_RESET: _reset,
    SigpOrder.CPU_RESET: _cpu_reset,
    SigpOrder.SET_PREFIX: _set_prefix,
    SigpOrder.STORE_STATUS_AT_ADDRESS: _store_status,
}


def sie(machine: "S390Machine", cpu: Processor) -> None:
    """START INTERPRETIVE EXECUTION of a program: the checks; the processor then enters the guest.

    IMPDEF: a protected guest cannot be entered so: there is no Ultravisor below a program.
    """
    where = cpu.raw.exit_args[0]
    block = StateDescription(machine.storage.view, where)
    report = validity(block, replace(machine.sie_host, prefix=cpu.raw.prefix))
    if report is not None:
        set_validity_interception(block, report)
        return
    cpu.raw.sie_native = 1
    cpu.raw.sie_request = machine.storage.address + where


def stsi(
    machine: Answering,
    cpu: Asking,
    levels: tuple[int, int, int],
    where: int,
    memory: Memory | None = None,
) -> None:
    """STORE SYSTEM INFORMATION. ref: PoP 10 STORE SYSTEM INFORMATION.

    levels: function code and selectors 1 and 2. where: the block's absolute address. memory: what
    it is in, if it is not the guest's own storage.
    """
    function, selector1, selector2 = levels
    page = bytearray(4096)
    count = machine.cpu_count
    match (function, selector1, selector2):
        case (1, 1, 1):
            block = Sysib111(page)
            block.manufacturer = "WORLDSWITCH".ljust(16)
            block.type = f"{machine.model.machine_type:04X}"
            block.model_capacity = block.model = "LAB".ljust(16)
            block.sequence = "0".rjust(16, "0")
            block.plant = "WS  "
        case (1, 2, 1):
            one = Sysib121(page)
            one.sequence = "0".rjust(16, "0")
            one.plant = "WS  "
            one.cpu_address = cpu.cpu_address
        case (1, 2, 2):
            all_cpus = Sysib122(page)
            all_cpus.capability = 1000
            all_cpus.total_cpus = all_cpus.configured_cpus = count
        case (2, 2, 2):
            partition = Sysib222(page)
            partition.number = 1
            partition.total_cpus = partition.configured_cpus = count
            partition.dedicated_cpus = count
            partition.name = "WORLDSW "
        case (3, 2, 2):
            virtual = Sysib322(page)
            virtual.count_byte = 1
            vm = virtual.machines[0]
            vm.total_cpus = vm.configured_cpus = count
            vm.name = "WORLDSW "
            vm.control_program = "KVM/Linux".ljust(16)
        case _:
            cpu.set_cc(3)
            return
    (memory or machine.memory).write(where, bytes(page))
    cpu.set_cc(0)


def diagnose(machine: Answering, cpu: Asking, code: int, r1: int, r3: int) -> None:
    """DIAGNOSE by function code; others are a specification exception."""
    if code in (0x44, 0x9C):
        machine.yield_slice()
    elif code == 0x308:
        machine.ipl_diagnose(cpu, r1, r3)
    elif code == 0x288:
        _watchdog(machine, cpu, r1, r3)
    elif code == 0x500:
        cpu.gr[2] = -22
    elif code == 0x10:
        pass
    else:
        cpu.program(0x0006)


def _watchdog(machine: Answering, cpu: Asking, r1: int, r3: int) -> None:
    """DIAGNOSE 288: function in R1, seconds in the register behind it, action in R3."""
    if r1 & 1 or not machine.watchdog.command(machine.time, cpu.gr[r1], cpu.gr[r1 + 1], cpu.gr[r3]):
        cpu.program(0x0006)


def io(machine: Answering, cpu: Asking, opcode: int) -> None:
    """I/O instructions: the channel subsystem has no subchannels. ref: PoP 14."""
    del machine
    if opcode == 0xB236:  # TPI: nothing pending
        cpu.set_cc(0)
    elif opcode == 0xB239:  # STCRW: no report
        cpu.set_cc(1)
    elif opcode == 0xB25F:  # CHSC: the command is not installed here
        cpu.set_cc(3)
    elif opcode in (0xB237, 0xB23C):  # SAL, SCHM have no condition code
        pass
    else:
        cpu.set_cc(3)
