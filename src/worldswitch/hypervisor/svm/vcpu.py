"""A guest CPU under SVM: its VMCB, and the way into the guest and out of it."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

from worldswitch.arch.x86.registers import Dr6, Rflags
from worldswitch.arch.x86.svm_controls import Clean, Event, Intercept1, TlbControl
from worldswitch.arch.x86.svm_exits import EXIT_INFO, SvmExit
from worldswitch.hypervisor.outcome import ADVANCE, Inject, Outcome, Preempted, Resume, RunEnd
from worldswitch.hypervisor.svm import controls
from worldswitch.hypervisor.svm.guest_state import EVERYTHING_DIRTY, IRET, NO_GENERATION, SvmState
from worldswitch.hypervisor.svm.injection import (
    InvariantError,
    ensure,
    inject,
    interrupts_after_exit,
    save_interrupted,
)
from worldswitch.hypervisor.svm.processor import PhysicalCpu
from worldswitch.hypervisor.svm.words import (
    ASID,
    CLEAN,
    EVENT_INJ,
    EXIT_CODE,
    EXIT_INT_INFO,
    INT_STATE,
    NEXT_RIP,
    RFLAGS,
    RIP,
    TLB_CONTROL,
    V_INTR,
)
from worldswitch.hypervisor.x86.events import ExceptionEvent, GuestException
from worldswitch.hypervisor.x86.state import (
    MASK32,
    MASK64,
    CpuMode,
)
from worldswitch.metal.interface import EntryResult

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vm import SvmVm

ADVANCING = frozenset(int(code) for code, info in EXIT_INFO.items() if info.nrip) | {0x400}
"""Exits after which RIP may be moved: those of instructions, with the next one's address saved,
and those of accesses that the hypervisor makes itself."""
# As plain integers, which are quicker to calculate with.
TF, RF, STEPPED = int(Rflags.TF), int(Rflags.RF), int(Rflags.TF | Rflags.RF)
VALID = int(Event.V)
ASID_GROUP = int(Clean.ASID)
INVALID = int(SvmExit.INVALID)
MOST_BYTES = 15
EXIT = EntryResult.EXIT


class OtherExit(IntEnum):
    """What ends a stay in the guest and is not in the manual."""

    UNKNOWN = 0x1_0000
    """An exit code that the architecture does not have."""


class SvmVcpu(SvmState):
    """A guest CPU. Load it on a physical processor, run it, put it."""

    def __init__(self, vm: "SvmVm", address: int, handlers: "Handlers") -> None:
        self._handlers = handlers
        self._pool = vm.processors[0].asids
        self._always = vm.options.switch_always
        self._epoch = 0
        self._asid_generation = NO_GENERATION
        self._flushing = False
        self._left_half = False
        self.injected = False
        """Whether an event was injected with the last entry."""
        self.usual_slice: int | None = None
        """The host's time slice while it is shortened for a self-IPI."""
        self.last_cpu: PhysicalCpu | None = None
        super().__init__(vm, address)
        controls.set_up(self)
        self.reset()

    # Life on physical processors.

    def load(self, cpu: PhysicalCpu) -> None:
        """Make a physical processor this virtual CPU's.

        On another one than the last its ASID means nothing, and nothing of the VMCB is cached.
        """
        if self.loaded_on is cpu:
            return
        self.put()
        self.loaded_on = cpu
        if self.last_cpu is not cpu or self._epoch != cpu.epoch:
            self._asid_generation = NO_GENERATION
            self.dirty = EVERYTHING_DIRTY
            if self.last_cpu is not cpu:
                self.statistics.count("migrations")
            self.last_cpu, self._epoch = cpu, cpu.epoch
        self.registers.load(cpu.own_registers)
        host = cpu.host
        self._clgi, self._stgi, self._vmrun = host.clgi, host.stgi, host.vmrun
        self._pool = cpu.asids
        if not self._always:
            host.vmload(self.vmcb_pa)
            self.resident = self.stored = True

    def put(self, another: bool = False) -> None:
        """Leave the physical processor: registers are saved, and the host's come back.

        another: they need not, for another virtual CPU takes this one's place at once.
        """
        cpu = self.loaded_on
        if cpu is None:
            return
        if self.resident:
            self.store_loaded()
            self.resident = False
            if not another:
                cpu.load_own()
        if self.usual_slice is not None:
            self._end_self_ipi()
        self.registers.put()
        self.loaded_on = None
        if not another:
            cpu.own_registers.give_back()

    def reset(self) -> None:
        if controls.intercepted(self, controls.FIRST, IRET):
            controls.set_intercept(self, controls.FIRST, Intercept1.IRET, False)
        self._left_half = False
        self.q[EVENT_INJ] = 0
        super().reset()

    def prepare(self) -> RunEnd | None:
        if self.completion is not None:
            end = self.complete()
            if end is not None:
                return end
        if self._left_half:
            return None
        self._clgi()
        if self.attention:
            end = self.attend()
            if end is not None:
                self._stgi()
                return end
        if self.work or (self.polls_pic and self.external_interrupt()):
            end = inject(self)
            if end is not None:
                self._stgi()
                return end
        elif self.d[INT_STATE] & 1 and self.q[RIP] != self.left_at:
            self.interrupt_shadow = False
        if (
            self.npt_generation != self.vm.npt.generation
            or self._asid_generation != self._pool.generation
            or self._flushing
        ):
            self._check_asid()
        self.d[CLEAN] = self.clean & ~self.dirty
        self.dirty = 0
        return None

    def _check_asid(self) -> None:
        """See that no translation is used that no longer holds.

        | ASID generation | table generation | |
        |---|---|---|
        | same | same | nothing is flushed |
        | same | other | its entries are flushed; without flush-by-ASID a new ASID is taken |
        | other | any | a new ASID, whose entries are flushed if that can be done one by one |

        Without flush-by-ASID everything is flushed when the ASIDs begin again from 1.
        """
        pool = self._pool
        generation = self.vm.npt.generation
        allocate = self._asid_generation != pool.generation
        flush = TlbControl.DO_NOTHING
        if not allocate and self.npt_generation != generation:
            if pool.flush_by_asid:
                flush = TlbControl.FLUSH_GUEST
            else:
                allocate = True
        if allocate:
            if pool.allocate() and not pool.flush_by_asid:
                flush = TlbControl.FLUSH_ALL
            self._asid_generation = pool.generation
            self.d[ASID] = pool.last
            self.dirty |= ASID_GROUP
            if pool.flush_by_asid:
                flush = TlbControl.FLUSH_GUEST
            self.statistics.count("new_asid")
        self.npt_generation = generation
        self.b[TLB_CONTROL] = flush
        self._flushing = flush != TlbControl.DO_NOTHING
        ensure(self.d[ASID], "the host's ASID for a guest")

    def enter(self) -> IntEnum | RunEnd:
        self.exits_left -= 1
        if not self.exits_left:
            self.slice_over = self.attention = True
        if self._always:
            result = self._run_switching()
        else:
            self.stored = False
            result = self._vmrun(self.vmcb_pa)
        if result is not EXIT:
            self._left_half = True
            return Preempted()
        self._left_half = False
        self._stgi()
        q = self.q
        self.left_at = q[RIP]
        code = q[EXIT_CODE]
        if self.injected and code != INVALID:
            self.injected = False
            ensure(not q[EVENT_INJ] & VALID, "the event that was injected is still there")
        if q[V_INTR] != self.v_intr:
            interrupts_after_exit(self, q[V_INTR])
        if q[EXIT_INT_INFO] & VALID:
            save_interrupted(self, q[EXIT_INT_INFO])
        return _EXITS.get(code, OtherExit.UNKNOWN)

    def _run_switching(self) -> EntryResult:
        """VMRUN between VMLOAD and VMSAVE, and the host's state back. ref: APM2 15.5.2"""
        cpu = self.loaded_on
        assert cpu is not None
        host = cpu.host
        host.vmload(self.vmcb_pa)
        result = self._vmrun(self.vmcb_pa)
        host.vmsave(self.vmcb_pa)
        cpu.load_own()
        return result

    def handle(self, reason: IntEnum) -> Outcome:
        if self.vm.hooks:  # one of them may have changed the code
            reason = _EXITS.get(self.q[EXIT_CODE], OtherExit.UNKNOWN)
        try:
            return self._handlers[reason](self)
        except GuestException as exception:
            return Inject(exception.event)

    def instruction_address(self) -> int:
        return self.q[RIP]

    def skip(self) -> Resume:
        """The intercepted instruction is done: go on behind it."""
        q = self.q
        length = q[NEXT_RIP] - q[RIP]
        if not 0 < length <= MOST_BYTES:
            length = self.instruction_length()
        return ADVANCE[length]

    def instruction_length(self) -> int:
        """Bytes of the intercepted instruction, at the end of a 16- or 32-bit segment too."""
        length = self.q[NEXT_RIP] - self.q[RIP]
        for mask in (MASK64, MASK32, 0xFFFF):
            if 0 < length & mask <= MOST_BYTES:
                return length & mask
        ensure(False, f"an instruction of {length} bytes at {self.q[RIP]:#x}")
        return 0

    def advance(self, distance: int) -> None:
        q = self.q
        if not 0 < distance <= MOST_BYTES or q[EXIT_CODE] not in ADVANCING:
            raise InvariantError(f"RIP is to be moved by {distance} after exit {q[EXIT_CODE]:#x}")
        at = q[RIP]
        rip = at + distance
        if (at ^ rip) >> 32:  # the end of what RIP has outside 64-bit mode, or of all
            rip &= MASK64 if self.mode() is CpuMode.LONG else MASK32
        q[RIP] = rip
        flags = q[RFLAGS]
        if flags & STEPPED:
            q[RFLAGS] = flags & ~RF
            if flags & TF:
                self.inject(ExceptionEvent(1, dr6=Dr6.BS, restart=False))

    def physical_interrupt(self) -> None:
        if self.usual_slice is None:
            super().physical_interrupt()
        else:
            self._end_self_ipi()

    def _end_self_ipi(self) -> None:
        assert self.usual_slice is not None
        self.host.time_slice = self.usual_slice
        self.usual_slice = None
        self.work = True


_EXITS: dict[int, SvmExit] = {int(code): code for code in SvmExit}
Handlers = Mapping[int, Callable[[SvmVcpu], Outcome]]
