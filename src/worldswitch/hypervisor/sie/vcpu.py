"""A guest CPU under SIE: its state description, registers, pending interruptions and clocks."""

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.control_registers import Cr0
from worldswitch.arch.s390x.psw import CC_MASK, CC_SHIFT, PswMask
from worldswitch.arch.s390x.sie_controls import CpuStat, Icpt, SdFormat
from worldswitch.arch.s390x.state_description import PREFIX_SHIFT, StateDescription
from worldswitch.arch.s390x.uv import UvCpuState
from worldswitch.hypervisor.outcome import (
    NotOperating,
    Outcome,
    Preempted,
    RunEnd,
    Stopped,
    ToMachine,
)
from worldswitch.hypervisor.sie import access, controls, delivery, status
from worldswitch.hypervisor.sie.debug import GuestDebug
from worldswitch.hypervisor.sie.events import (
    BusyError,
    ExternalCall,
    GuestException,
    LocalEvent,
    ProgramEvent,
)
from worldswitch.hypervisor.sie.guest_storage import GuestStorage, OutsideStorageError
from worldswitch.hypervisor.sie.instruction_data import InstructionData
from worldswitch.hypervisor.sie.interrupts import Irq, LocalInterrupts, bit
from worldswitch.hypervisor.sie.registers import (
    MASK64,
    GuestRegisters,
    RegisterFile,
    ShownRegisters,
)
from worldswitch.hypervisor.sie.timers import Timers
from worldswitch.hypervisor.vcpu import Vcpu
from worldswitch.metal.interface import EntryResult, S390Host, SecureStorageAccess

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vm import SieVm

BLOCK_SIZE = 4096
"""The page of a CPU's control blocks: state description, ITDB, runtime-instrumentation controls."""
ITDB_OFFSET = 0x700
RICCB_OFFSET = 0x800
SHOWN_REGISTERS = 0x380
"""Where the page of a format-4 state description has general registers 0 to 15."""
VECTOR_FACILITY = 129


class HostExit(IntEnum):
    """Exits that are no interceptions."""

    FAULT = 0x100
    """The host's translation of guest storage failed."""
    UNKNOWN = 0x101
    """An interception code that the architecture does not have."""


class SieVcpu(Vcpu):
    """A guest CPU. Load it on a physical processor, run it, put it."""

    vm: "SieVm"

    def __init__(self, vm: "SieVm", address: int, dispatch: "Dispatch") -> None:
        super().__init__(vm, address)
        self.dispatch = dispatch
        storage = vm.hosts[0].storage
        self.sd_origin = storage.allocate(BLOCK_SIZE)
        self.sd = StateDescription(storage.view, self.sd_origin)
        self.itdb_origin = self.sd_origin + ITDB_OFFSET
        self.riccb_origin = self.sd_origin + RICCB_OFFSET
        self.registers = RegisterFile(vm.has(VECTOR_FACILITY))
        self.gr: GuestRegisters = GuestRegisters(self.registers, self.sd)
        self.local = LocalInterrupts()
        self.timers = Timers(self)
        self.debug: GuestDebug | None = None
        self.keys_enabled = False
        """Whether the guest CPU has used storage keys."""
        self.fault_handshake = MASK64
        """Token of DIAGNOSE X'258'; all ones: none."""
        self._mapped = -1
        self._quiet = False
        """Whether nothing is pending, nothing is to be done before the next entry, and the state
        description says so."""
        vm.sca.add(address, self.sd_origin)
        controls.set_up(self)
        self.reset(clear=True)

    # What the machine and the handlers read and write.

    @property
    def cpu_address(self) -> int:
        """The CPU's address in the guest."""
        return self.address

    @property
    def host(self) -> S390Host:
        """The physical processor that the virtual CPU is loaded on."""
        host = self.registers.host
        if host is None:
            raise RuntimeError(f"virtual CPU {self.address} is not loaded on a processor")
        return host

    @property
    def psw(self) -> tuple[int, int]:
        """The guest's PSW: mask and instruction address."""
        return self.sd.gpsw_mask, self.sd.gpsw_addr

    @psw.setter
    def psw(self, value: tuple[int, int]) -> None:
        self.sd.gpsw_mask, self.sd.gpsw_addr = value

    @property
    def ipa(self) -> int:
        """First halfword of the intercepted instruction."""
        return self.sd.ipa

    @property
    def ipb(self) -> int:
        """The other two halfwords of the intercepted instruction."""
        return self.sd.ipb

    @property
    def prefix(self) -> int:
        """The guest's prefix."""
        return self.sd.prefix << PREFIX_SHIFT

    def set_prefix(self, value: int) -> None:
        """Set the prefix; translations that depend on it are dropped."""
        self.sd.prefix = (value & 0x7FFF_E000) >> PREFIX_SHIFT
        self.flush_translations()
        self._mapped = -1

    @property
    def protected(self) -> bool:
        """Whether the Ultravisor keeps this CPU's state."""
        return self.sd.sdf == SdFormat.FORMAT_4

    @property
    def operand_storage(self) -> "GuestStorage | InstructionData":
        """Where an intercepted instruction's operand is, by guest absolute address."""
        if self.protected:
            return InstructionData(self.host.storage, self.sd)
        return self.vm.memory

    def show_registers(self, protected: bool) -> None:
        """Look for the general registers where they are from now on."""
        if protected:
            view, origin = self.vm.hosts[0].storage.view, self.sd_origin + SHOWN_REGISTERS
            self.gr = ShownRegisters(self.registers, self.sd, view, origin)
        else:
            self.gr = GuestRegisters(self.registers, self.sd)

    def set_cc(self, value: int) -> None:
        """Set the guest's condition code."""
        self.sd.gpsw_mask = self.sd.gpsw_mask & ~CC_MASK | value << CC_SHIFT

    def program(self, code: int) -> None:
        """The instruction that the machine was asked about ends with a program interruption."""
        self.inject(ProgramEvent(code))

    def real_to_absolute(self, address: int) -> int:
        """Prefixing."""
        return access.real_to_absolute(self.prefix, address)

    def problem_state(self) -> bool:
        """Whether the guest is in the problem state."""
        return bool(self.sd.gpsw_mask & PswMask.PROBLEM)

    # Life on physical processors.

    def load(self, host: S390Host) -> None:
        """Make a physical processor this virtual CPU's: registers, and the guest's storage."""
        if self.registers.host is host:
            return
        self.put()
        self.registers.load(host)
        host.cr[0] |= Cr0.EDAT
        host.cr[1] = self.vm.gmap.asce
        self.sd.cpuflags |= CpuStat.RUNNING

    def put(self) -> None:
        """Leave the physical processor; the registers are saved."""
        if self.registers.host is not None:
            self.registers.put()
            self.sd.cpuflags &= ~CpuStat.RUNNING

    def now(self) -> int:
        return self.vm.now()

    def prepare(self) -> RunEnd | None:
        vm = self.vm
        if (
            self._quiet
            and not self.local.pending
            and not vm.floating.bitmap
            and self.debug is None
            and self._mapped == vm.gmap.generation
        ):
            return None
        sd = self.sd
        if sd.cpuflags & CpuStat.STOPPED:
            return NotOperating()
        self.timers.end_wait()
        if sd.cpuflags & CpuStat.WAIT:
            sd.cpuflags &= ~CpuStat.WAIT
        if not self.vm.options.user_controlled:
            try:
                delivery.deliver_all(self)
            except (GuestException, OutsideStorageError):
                return self._fail(f"its prefix area at {self.prefix:#x} is not in guest storage")
            except SecureStorageAccess as error:
                return self._fail(f"{error}")
        if self._mapped != self.vm.gmap.generation and not self._map_prefix():
            return self._fail(f"its prefix area at {self.prefix:#x} is not in guest storage")
        pending = self.local.pending | self.vm.floating.deliverable_kinds()
        controls.set_indicators(self, pending)
        if self.debug is not None:
            self.debug.patch(self)
        self._quiet = not pending and self.debug is None
        return None

    def _fail(self, what: str) -> Stopped:
        self.failed = Stopped(f"guest CPU {self.address} cannot go on: {what}")
        return self.failed

    def _map_prefix(self) -> bool:
        gmap, prefix = self.vm.gmap, self.prefix
        found = [gmap.resolve(prefix + offset, True) for offset in (0, 4096)]
        self._mapped = gmap.generation
        return None not in found

    def enter(self) -> IntEnum | RunEnd:
        result = self.host.sie(self.sd_origin)
        if self.debug is not None:
            self.debug.restore(self)
        if result is EntryResult.HOST_FAULT:
            self.left_at = self.sd.gpsw_addr
            return HostExit.FAULT
        if result is EntryResult.PREEMPTED:
            self.statistics.count("exit_null")
            return Preempted()
        self.left_at = self.sd.gpsw_addr
        code = self.sd.icptcode
        return _ICPT.get(code, HostExit.UNKNOWN)

    def handle(self, reason: IntEnum) -> Outcome:
        return self.dispatch(self, reason)

    def instruction_address(self) -> int:
        return self.sd.gpsw_addr

    def instruction_length(self) -> int:
        """Bytes of the instruction that the interception is about; 0 if there is none.

        That of EXECUTE if it was executed by one. ref: SIE icptstatus
        """
        return access.intercepted_length(self.sd)

    def advance(self, distance: int) -> None:
        sd = self.sd
        sd.gpsw_addr = access.effective(self, (sd.gpsw_addr + distance) & MASK64)

    def flush_translations(self) -> None:
        """Have SIE drop its translations of this guest CPU at the next entry."""
        self.sd.ihcpu = controls.FLUSH

    def begin_wait(self) -> None:
        """The guest CPU waits for an interruption."""
        self._quiet = False
        self.sd.cpuflags |= CpuStat.WAIT
        self.timers.begin_wait()

    # Interruptions.

    def inject(self, event: LocalEvent) -> None:
        """Make a local interruption pending; BusyError for one that can be pending only once."""
        if isinstance(event, ExternalCall) and self.vm.sigp_interpretation:
            if not self.vm.sca.call(self.address, event.source):
                raise BusyError(Irq.EXTERNAL_CALL.name)
            self.sd.cpuflags |= CpuStat.ECALL_PEND
            name = "inject_external_call"
        else:
            name = self.local.inject(event)
        self.statistics.count(name)
        if self.vm.sink is not None:
            self.trace("inject", event=name)

    def external_call_pending(self) -> bool:
        """Whether an external call is pending that SIE delivers by itself."""
        return self.vm.sigp_interpretation and self.vm.sca.call_pending(self.address)

    def any_external_call(self) -> bool:
        """Whether an external call is pending, whoever delivers it."""
        return self.local.has(Irq.EXTERNAL_CALL) or self.external_call_pending()

    # States.

    @property
    def stopped(self) -> bool:
        """Whether the CPU is in the stopped state."""
        return bool(self.sd.cpuflags & CpuStat.STOPPED)

    def start(self) -> None:
        """Put the CPU into the operating state."""
        if self.protected and self.vm.protected is not None:
            self.vm.protected.set_cpu_state(self, UvCpuState.OPERATING)
        self.operate()

    def operate(self) -> None:
        """The CPU is in the operating state, and the Ultravisor knows if it has to."""
        self.sd.cpuflags &= ~CpuStat.STOPPED
        self.sd.ihcpu = controls.FLUSH

    def stop(self) -> None:
        """Put the CPU into the stopped state; a stop that is pending is done."""
        self._quiet = False
        self.local.clear(Irq.STOP)
        self.local.store_status = False
        if self.protected and self.vm.protected is not None:
            self.vm.protected.set_cpu_state(self, UvCpuState.STOPPED)
        self.sd.cpuflags |= CpuStat.STOPPED
        self.timers.end_wait()

    def restart(self) -> None:
        """The SIGP order RESTART on a stopped CPU: the interruption, then the operating state."""
        delivery.deliver_restart(self)
        self.start()

    def reset(self, initial: bool = True, clear: bool = False) -> None:
        """CPU reset, initial CPU reset or clear reset; the CPU is stopped. ref: PoP 4 Resets."""
        self._quiet = False
        if self.protected and self.vm.protected is not None:
            self.vm.protected.reset_cpu(self, initial or clear)
            self.sd.cpuflags |= CpuStat.STOPPED
            self.timers.end_wait()
            self.local.clear_all()
            if initial or clear:
                self.set_prefix(0)
            return
        self.stop()
        self.local.clear_all()
        self.vm.sca.clear_call(self.address)
        self.sd.cpuflags &= ~CpuStat.ECALL_PEND
        self.fault_handshake = MASK64
        if initial or clear:
            controls.initial_reset(self)
            self.registers.clear(general=clear)
        if clear:
            self.gr[14] = self.gr[15] = 0
        self.sd.ihcpu = controls.FLUSH

    def store_status(self, absolute: int | None = None) -> None:
        """Store the registers; see `status.store_status`."""
        status.store_status(self, absolute)

    # What the scheduler asks.

    def waiting(self) -> bool:
        """Whether the CPU waits for an interruption."""
        return self.timers.waiting_since is not None

    def runnable(self) -> bool:
        if self.failed is not None or self.stopped:
            return False
        return not self.waiting() or delivery.has_interrupt(self)

    def wake_time(self) -> int | None:
        if self.failed is not None or self.stopped:
            return None
        if not self.waiting():
            return self.now()
        return self.timers.next_time()

    @property
    def debugged(self) -> GuestDebug:
        """What the person who debugs the CPU wants to see; the CPU is debugged from now on."""
        if self.debug is None:
            self.debug = GuestDebug()
        return self.debug

    def debug_end(self, outcome: Outcome) -> Outcome:
        """After an exit: if the person who debugs the guest is to see it, the machine is told."""
        debug = self.debug
        if debug is None or debug.hit is None:
            return outcome
        end = self.apply(outcome)
        if end is not None:
            return outcome
        return ToMachine(debug.take_hit())

    def pending_kinds(self) -> list[str]:
        """Names of what is pending, for people."""
        bitmap = delivery.all_pending(self)
        return [irq.name for irq in Irq if bitmap & bit(irq)]


_ICPT: dict[int, Icpt] = {int(code): code for code in Icpt}

Dispatch = Callable[[SieVcpu, IntEnum], Outcome]
