"""A virtual CPU for x86, whichever facility executes it: its state, events, and unfinished work."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

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
from worldswitch.hypervisor.vcpu import Vcpu
from worldswitch.hypervisor.x86 import initial
from worldswitch.hypervisor.x86.cpuid_policy import DYNAMIC_LEAVES, REMEMBERED, Registers4
from worldswitch.hypervisor.x86.emulate import Emulation
from worldswitch.hypervisor.x86.events import (
    ExceptionEvent,
    ExternalInterrupt,
    GuestException,
    Init,
    NonMaskable,
    Shutdown,
    Startup,
    X86Event,
    combined,
    event_info,
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
    SegmentState,
)
from worldswitch.metal.interface import Registers, X86Host

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.vm import X86Vm

Completion = Callable[[int | None], Outcome]
"""Finishes an instruction with the machine's answer, or None if it gave none."""
MOST_EXITS = 20_000
"""Exits after which a virtual CPU has to give way, however few instructions it has executed."""
PE = int(Cr0.PE)
IF, TF, RF = int(Rflags.IF), int(Rflags.TF), int(Rflags.RF)


class X86Vcpu(Vcpu):
    """What all virtual CPUs for x86 have. A facility's own says where the state is."""

    ADDRESS_NAME: ClassVar[str] = "rip"
    OWN_REGISTERS: ClassVar[frozenset[int]] = frozenset()
    """Numbers of the general registers that entering and leaving the guest switches."""
    vm: "X86Vm"
    gr: Registers

    def __init__(self, vm: "X86Vm", address: int) -> None:
        super().__init__(vm, address)
        self.memory: GuestMemory = vm.memory
        self.cpuid_policy = vm.cpuid_policy
        self.physical_bits = vm.cpuid_policy.physical_bits
        self.registers = RegisterFile(self.OWN_REGISTERS)
        self.state = CpuState.WAIT_FOR_STARTUP
        self.completion: Completion | None = None
        """What is left to do of an instruction that waits for the machine's answer."""
        self._answer: int | None = None
        self._emulation: Emulation | None = None
        self.exception = 0
        """The exception that is to be taken next, in the form of EVENTINJ; 0: none."""
        self.int_info = 0
        """The event whose delivery was interrupted by the last exit; 0: none."""
        self.nmi_pending = False
        self.extint_pending = False
        """An external-interrupt message has arrived: the 8259 pair has the vector."""
        self.init_pending = False
        self.startup_pending: int | None = None
        self.work = True
        """Whether there may be something to inject, or to take back."""
        self.attention = True
        """Whether there is something to look at before the guest is entered."""
        self._timer_moved = True
        self._slice_end = 0
        self.slice_over = False
        self.exits_left = MOST_EXITS
        self._untold = False
        """Whether the machine has not been told of a triple fault yet."""
        self.polls_pic = False
        """Whether the 8259 pair's INTR line gets through to this processor."""
        self._cpuid: dict[tuple[int, int], Registers4] = {}
        self.msrs = MsrFile(self.physical_bits, vm.patch_level())
        self.lapic = LocalApic(address, vm.bus, self, vm.now, vm.apic_options)

    # Where the state is: the facility's.

    @property
    @abstractmethod
    def rip(self) -> int:
        """The address of the guest's instruction."""

    @rip.setter
    @abstractmethod
    def rip(self, value: int) -> None: ...

    @property
    @abstractmethod
    def rflags(self) -> int:
        """RFLAGS."""

    @rflags.setter
    @abstractmethod
    def rflags(self, value: int) -> None: ...

    @property
    @abstractmethod
    def cr0(self) -> int:
        """CR0."""

    @cr0.setter
    @abstractmethod
    def cr0(self, value: int) -> None: ...

    @property
    @abstractmethod
    def cr2(self) -> int:
        """CR2."""

    @cr2.setter
    @abstractmethod
    def cr2(self, value: int) -> None: ...

    @property
    @abstractmethod
    def cr3(self) -> int:
        """CR3."""

    @cr3.setter
    @abstractmethod
    def cr3(self, value: int) -> None: ...

    @property
    @abstractmethod
    def cr4(self) -> int:
        """CR4."""

    @cr4.setter
    @abstractmethod
    def cr4(self, value: int) -> None: ...

    @property
    @abstractmethod
    def efer(self) -> int:
        """EFER."""

    @efer.setter
    @abstractmethod
    def efer(self, value: int) -> None: ...

    @property
    @abstractmethod
    def cpl(self) -> int:
        """The privilege level, 0 to 3."""

    @abstractmethod
    def mode(self) -> CpuMode:
        """The operating mode."""

    @abstractmethod
    def descriptor(self, name: str) -> SegmentState:
        """A segment or table register by name, with its hidden part."""

    @abstractmethod
    def set_descriptor(self, name: str, value: SegmentState) -> None:
        """Set one."""

    @abstractmethod
    def segment(self, number: int) -> SegmentState:
        """A segment register by its number."""

    @abstractmethod
    def system(self, name: str) -> int:
        """A register that the facility's control block holds, by the block's name for it."""

    @abstractmethod
    def set_system(self, name: str, value: int) -> None:
        """Set one."""

    @property
    @abstractmethod
    def interrupt_shadow(self) -> bool:
        """Whether the next instruction is executed before interrupts are taken."""

    @interrupt_shadow.setter
    @abstractmethod
    def interrupt_shadow(self, value: bool) -> None: ...

    @property
    @abstractmethod
    def nmi_blocked(self) -> bool:
        """Whether an NMI has to wait for an IRET."""

    @property
    @abstractmethod
    def tsc_offset(self) -> int:
        """What the guest's time-stamp counter is ahead of the host's by (64 bits)."""

    @tsc_offset.setter
    @abstractmethod
    def tsc_offset(self, value: int) -> None: ...

    @property
    @abstractmethod
    def host(self) -> X86Host:
        """The physical processor that the virtual CPU is loaded on."""

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
        emulation = self._emulation
        assert emulation is not None
        try:
            request = emulation.send(answer)
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

    # Events.

    def inject(self, event: X86Event) -> None:
        """Make an event pending for this virtual CPU."""
        if self.vm.sink is not None:
            self.trace("inject", event=str(event))
        if isinstance(event, ExceptionEvent):
            self._raise(event)
        else:
            self.signal(event)

    def _raise(self, event: ExceptionEvent) -> None:
        """An exception is to be taken before the next instruction."""
        self.statistics.count("inject_exception")
        if event.address is not None:
            self.cr2 = event.address
        if event.dr6:
            self.set_system("dr6", self.system("dr6") | event.dr6)
        info = event_info(event)
        if event.error is not None and not self.cr0 & PE:
            info = event_info(ExceptionEvent(event.vector))  # real mode has no error codes
        if event.restart:
            self.completion = None
        self.interrupt_shadow = False
        self.work = True
        if self.exception:
            try:
                info = combined(self.exception, info)
            except Shutdown:
                self.shut_down()
                return
        self.exception = info

    def signal(self, event: X86Event) -> None:
        """An NMI, INIT, start-up IPI or external interrupt arrives."""
        match event:
            case NonMaskable():
                self.nmi_pending = True
                self.work = True
            case ExternalInterrupt():
                self.extint_pending = True
                self.work = True
            case Init():
                self.init_pending = True
                self.startup_pending = None
            case Startup(vector=vector):
                if self.startup_pending is None:
                    self.startup_pending = vector
            case ExceptionEvent():
                self._raise(event)
        self.attention = True

    def interrupts_changed(self) -> None:
        """The local APIC has something else for the processor to take, or no longer has."""
        self.work = True

    def timer_changed(self) -> None:
        """The local APIC's timer expires at another time."""
        self._timer_moved = self.attention = True

    def call_attention(self) -> None:
        """Have the virtual CPU look at what the virtual machine wants before it goes on."""
        self.attention = True

    def entry_event(self) -> int:
        """What is to be taken first: the event that was interrupted, or an exception, or both.

        In the form of EVENTINJ, 0 if there is nothing. Raises Shutdown for a triple fault.
        """
        first, second = self.int_info, self.exception
        self.int_info = self.exception = 0
        if not second:
            return first
        return combined(first, second) if first else second

    def external_interrupt(self) -> int | None:
        """The vector that the 8259 pair has for this processor, or None."""
        pic = self.vm.pic
        if pic is None or not (self.extint_pending or self.lapic.accepts_extint):
            return None
        vector = pic.intr_pending()
        if vector is None:
            self.extint_pending = False
        return vector

    def see_wiring(self) -> None:
        """Find out whether the INTR line has to be looked at before each entry."""
        pic = self.vm.pic
        self.polls_pic = pic is not None and (self.extint_pending or self.lapic.accepts_extint)

    def shut_down(self) -> None:
        """A triple fault: nothing but INIT or a reset goes on from here. The machine is told."""
        self.statistics.count("triple_fault")
        self.state = CpuState.SHUTDOWN
        self.attention = True
        self._untold = True

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
        return bool(self.lapic.pending_vector()) or self.external_interrupt() is not None

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
                return self._untold

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
        self._slice_end = host.deadline
        self._timer_moved = self.attention = True
        try:
            return super().run()
        finally:
            host.deadline = self._slice_end

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
        if self._timer_moved:
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
        if self._untold:
            self._untold = False
            return ToMachine(TripleFault())
        return NotOperating()

    def _set_alarm(self) -> None:
        """Deliver the timer's interrupt if it is due, and have one come when it will be."""
        self._timer_moved = False
        timer = self.lapic.timer
        host = self.host
        due = timer.due
        if due is None:
            host.deadline = self._slice_end
            return
        now = self.vm.now()
        if due <= now:
            self.lapic.check_timer(now)
            due = timer.due
        self._timer_moved = False
        end = self._slice_end
        if due is not None and not timer.masked:
            end = min(end, host.icount + max(1, due - now))
        host.deadline = end

    def physical_interrupt(self) -> None:
        """A physical interrupt has ended the guest's turn: see whose it was."""
        self.attention = True
        if self.host.icount >= self._slice_end or not self._timer_expired():
            self.slice_over = True
        self._timer_moved = True

    def triple_fault(self) -> ToMachine:
        """The processor has shut down, which the machine is told now."""
        self.shut_down()
        self._untold = False
        return ToMachine(TripleFault())
