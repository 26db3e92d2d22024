"""A virtual CPU for x86, whichever facility executes it: its state, events, and unfinished work."""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr0, Dr6, Rflags
from worldswitch.arch.x86.segments import SegAttr, SegmentNumber
from worldswitch.hypervisor.outcome import (
    ADVANCE,
    Inject,
    NotOperating,
    Outcome,
    Preempted,
    RunEnd,
    ToMachine,
    Wait,
)
from worldswitch.hypervisor.requests import Halt, Rendezvous, Suspended, TripleFault, X86Request
from worldswitch.hypervisor.x86 import initial
from worldswitch.hypervisor.x86.cpuid_policy import DYNAMIC_LEAVES, REMEMBERED, Registers4
from worldswitch.hypervisor.x86.devices import answered
from worldswitch.hypervisor.x86.emulate import Emulation
from worldswitch.hypervisor.x86.events import (
    ExceptionEvent,
    GuestException,
)
from worldswitch.hypervisor.x86.lapic import LocalApic
from worldswitch.hypervisor.x86.memory import GuestMemory
from worldswitch.hypervisor.x86.mmio import CODE_16, CODE_32, CODE_64
from worldswitch.hypervisor.x86.msrs import MsrFile
from worldswitch.hypervisor.x86.registers import RegisterFile
from worldswitch.hypervisor.x86.state import (
    MASK32,
    MASK64,
    CpuMode,
    CpuState,
)
from worldswitch.hypervisor.x86.taking import EventTaker

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.vm import X86Vm

MOST_EXITS = 20_000
"""Exits after which a virtual CPU has to give way, however few instructions it has executed."""
PE = int(Cr0.PE)
IF, TF, RF = int(Rflags.IF), int(Rflags.TF), int(Rflags.RF)


class X86Vcpu(EventTaker):
    """What all virtual CPUs for x86 have. A facility's own says where the state is."""

    def __init__(self, vm: "X86Vm", address: int) -> None:
        super().__init__(vm, address)
        self.memory: GuestMemory = vm.memory
        self.cpuid_policy = vm.cpuid_policy
        self.physical_bits = vm.cpuid_policy.physical_bits
        self.registers = RegisterFile(self.OWN_REGISTERS)
        self._answer: int | None = None
        self._emulation: Emulation | None = None
        self._slice_end = self._alarm = 0
        """Instruction counts at which the slice ends, and for which an interrupt was asked."""
        self.slice_over = False
        self.exits_left = MOST_EXITS
        self._cpuid: dict[tuple[int, int], Registers4] = {}
        self.msrs = MsrFile(self.physical_bits, vm.patch_level())
        self.lapic = LocalApic(address, vm.bus, self, vm.now, vm.apic_options)

    # State that the facility does not switch.

    @property
    def xcr0(self) -> int:
        """Extended control register 0."""
        return self.registers.xcr0

    @property
    def tsc_aux(self) -> int:
        """TSC_AUX."""
        return self.registers.tsc_aux

    @tsc_aux.setter
    def tsc_aux(self, value: int) -> None:
        self.registers.tsc_aux = value

    def now(self) -> int:
        return self.vm.now()

    def guest_tsc(self) -> int:
        """The guest's time-stamp counter."""
        return (self.vm.now() + self.tsc_offset) & MASK64

    def set_guest_tsc(self, value: int) -> None:
        """Set it."""
        offset = value - self.vm.now()
        self.tsc_offset = offset & MASK64
        self.lapic.timer.set_tsc_offset(offset)

    def code_size(self) -> int:
        """What the code segment says of operands and addresses: CODE_16, CODE_32 or CODE_64."""
        if self.mode() is CpuMode.LONG:
            return CODE_64
        return CODE_32 if self.segment(SegmentNumber.CS).attributes & SegAttr.DB else CODE_16

    def cpuid(self, leaf: int, subleaf: int) -> Registers4:
        """What CPUID says now."""
        key = (leaf, subleaf)
        answer = self._cpuid.get(key)
        if answer is None:
            answer = self.cpuid_policy.query(leaf, subleaf, self.address, self.cr4, self.xcr0)
            if leaf not in DYNAMIC_LEAVES and len(self._cpuid) < REMEMBERED:
                self._cpuid[key] = answer
        return answer

    # Instructions.

    def instruction_address(self) -> int:
        return self.rip

    def advance(self, distance: int) -> None:
        """Move RIP behind an instruction that is done, which ends what holds for one instruction.

        With RFLAGS.TF set a debug exception is taken next. ref: APM2 13.1.4 Single Stepping
        """
        rip = self.rip + distance
        self.rip = rip & (MASK64 if self.mode() is CpuMode.LONG else MASK32)
        flags = self.rflags
        if flags & (TF | RF):
            self.rflags = flags & ~RF
            if flags & TF:
                self.inject(ExceptionEvent(Vector.DB, dr6=Dr6.BS, restart=False))

    def ask(self, request: X86Request, length: int) -> Outcome:
        """Hand a request to the machine; its answer, if any, only says that it is done."""
        self.completion = lambda _answer: ADVANCE[length]
        return ToMachine(request)

    def answer(self, value: int = 0) -> None:
        """The machine's answer to the last request."""
        self._answer = value

    def emulate(self, emulation: Emulation) -> Outcome:
        """Execute an instruction as far as it goes without the machine."""
        self._emulation = emulation
        return self._go_on(None)

    def _go_on(self, answer: int | None) -> Outcome:
        emulation, devices = self._emulation, self.vm.devices
        assert emulation is not None
        try:
            request = emulation.send(answer)
            while devices is not None:
                request = emulation.send(answered(devices, request))
        except StopIteration as stop:
            return stop.value
        self.completion = self._go_on
        return ToMachine(request)

    def complete(self) -> RunEnd | None:
        """Finish the instruction that waited for the machine."""
        completion, answer = self.completion, self._answer
        self.completion = self._answer = None
        assert completion is not None
        try:
            outcome = completion(answer)
        except GuestException as exception:
            outcome = Inject(exception.event)
        return self.apply(outcome)

    def give_way(self) -> None:
        """Have the run end before the guest is entered again, as at the end of a slice."""
        self.slice_over = self.attention = True

    def end_slice_at(self, icount: int) -> None:
        """Have the slice end when the processor has executed so many instructions, or sooner."""
        if icount < self._slice_end:
            self._slice_end = icount
            self.timer_moved = self.attention = True

    # States.

    def reset(self) -> None:
        """RESET: the first processor begins, the others wait for a start-up IPI."""
        self._forget()
        self.nmi_pending = self.extint_pending = self.init_pending = False
        self.startup_pending = None
        self.failed = None
        self.msrs.reset()
        self.lapic.reset()
        initial.set_registers(self, reset=True)
        self.state = CpuState.RUNNING if self.address == 0 else CpuState.WAIT_FOR_STARTUP

    def _initialize(self) -> None:
        """INIT."""
        self.init_pending = False
        self._forget()
        self.nmi_pending = self.extint_pending = False
        self.lapic.initialize()
        initial.set_registers(self, reset=False)
        self.state = CpuState.RUNNING if self.address == 0 else CpuState.WAIT_FOR_STARTUP

    def _forget(self) -> None:
        """Drop unfinished instructions and events."""
        self.completion = self._answer = self._emulation = None
        self.exception = self.int_info = 0
        self.interrupt_shadow = False
        self.work = self.attention = True

    def halt(self, length: int) -> Outcome:
        """HLT: wait for an interrupt, unless one is to be taken already.

        One that nothing but an NMI, INIT or a reset can end is the machine's to know.
        """
        if self._interrupt_waits():
            return ADVANCE[length]
        self.state = CpuState.HALTED
        self.attention = True
        flags = self.rflags
        return Wait(length) if flags & IF else self.ask(Halt(flags), length)

    def _interrupt_waits(self) -> bool:
        """Whether something is pending that ends HLT."""
        if self.exception:
            return True
        if self.nmi_pending and not self.nmi_blocked:
            return True
        if not self.rflags & IF:
            return False
        return bool(self.lapic.pending_vector()) or self.external_interrupt()

    def _timer_expired(self) -> bool:
        due = self.lapic.timer.due
        return due is not None and due <= self.vm.now()

    def runnable(self) -> bool:
        if self.failed is not None:
            return False
        if self.init_pending:
            return True
        match self.state:
            case CpuState.RUNNING:
                return True
            case CpuState.HALTED:
                if self.completion is not None:
                    return True
                if self._timer_expired():
                    self.lapic.check_timer(self.vm.now())
                return self._interrupt_waits()
            case CpuState.WAIT_FOR_STARTUP:
                return self.startup_pending is not None
            case CpuState.SHUTDOWN:
                return self.untold

    def wake_time(self) -> int | None:
        if self.failed is not None:
            return None
        if self.runnable():
            return self.now()
        timer = self.lapic.timer
        if self.state is not CpuState.HALTED or timer.masked or not self.rflags & IF:
            return None
        return timer.due

    # Running.

    def run(self) -> RunEnd:
        """Run until the machine is needed, the slice ends, or there is nothing to do.

        The local APIC's timer ends the slice early, by way of a physical interrupt.
        """
        host = self.host
        self._slice_end = self._alarm = host.deadline
        self.attention = True
        self.timer_moved = self.lapic.timer.due is not None
        try:
            return super().run()
        finally:
            self._shorten()
            host.deadline = self._slice_end

    def _shorten(self) -> None:
        """The processor takes a little off the slice for each entry: the slice is shorter, but not
        the time until the timer expires."""
        deadline = self.host.deadline
        self._slice_end -= self._alarm - deadline
        self._alarm = deadline

    def attend(self) -> RunEnd | None:
        """Look at what must be looked at before the guest is entered; not None: do not enter."""
        self.attention = False
        vm = self.vm
        if vm.suspended:
            return ToMachine(Suspended(vm.suspended))
        missing = vm.attend_rendezvous(self)
        if missing is not None:
            return ToMachine(Rendezvous(missing))
        if self.slice_over:
            self.slice_over = False
            self.exits_left = MOST_EXITS
            return Preempted()
        if self.init_pending:
            self._initialize()
        if self.startup_pending is not None:
            vector, self.startup_pending = self.startup_pending, None
            if self.state is CpuState.WAIT_FOR_STARTUP:
                initial.set_startup(self, vector)
                self.state = CpuState.RUNNING
        if self.timer_moved:
            self._set_alarm()
        self.see_wiring()
        if self.state is not CpuState.RUNNING:
            return self._rest()
        self.attention = False
        return None

    def _rest(self) -> RunEnd | None:
        """The guest does not execute; None if it does again."""
        if self.state is CpuState.HALTED:
            if self._interrupt_waits():
                self.state = CpuState.RUNNING
                return None
            self.exits_left = MOST_EXITS
            return Wait()
        if self.untold:
            self.untold = False
            return ToMachine(TripleFault())
        return NotOperating()

    def _set_alarm(self) -> None:
        """Deliver the timer's interrupt if it is due, and have one come when it will be."""
        self.timer_moved = False
        timer = self.lapic.timer
        host = self.host
        due = timer.due
        self._shorten()
        if due is None:
            host.deadline = self._alarm = self._slice_end
            return
        now = self.vm.now()
        if due <= now:
            self.lapic.check_timer(now)
            due = timer.due
        self.timer_moved = False
        end = self._slice_end
        if due is not None and not timer.masked:
            end = min(end, host.icount + max(1, due - now))
        host.deadline = self._alarm = end

    def physical_interrupt(self) -> None:
        """A physical interrupt has ended the guest's turn: see whose it was.

        It is the end of the slice, or the timer's, or has come too early for it, because of what
        the processor took off: then it is asked for again.
        """
        self.attention = self.timer_moved = True
        icount = self.host.icount
        early = self._alarm < self._slice_end and icount < self._alarm
        self._shorten()
        if icount >= self._slice_end or not (early or self._timer_expired()):
            self.slice_over = True

    def triple_fault(self) -> ToMachine:
        """The processor has shut down, which the machine is told now."""
        self.shut_down()
        self.untold = False
        return ToMachine(TripleFault())
