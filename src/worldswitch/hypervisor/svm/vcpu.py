"""A guest CPU under SVM: its VMCB, and the way into the guest and out of it."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from worldswitch.arch.x86.registers import Cr0, Dr6, Efer, Rflags
from worldswitch.arch.x86.svm_controls import Clean, Event, Intercept1, TlbControl
from worldswitch.arch.x86.svm_exits import EXIT_INFO, SvmExit
from worldswitch.arch.x86.vmcb import ALIGNMENT, SIZE, Vmcb
from worldswitch.hypervisor.outcome import ADVANCE, Inject, Outcome, Preempted, Resume, RunEnd
from worldswitch.hypervisor.svm import controls
from worldswitch.hypervisor.svm.injection import (
    InvariantError,
    ensure,
    inject,
    interrupts_after_exit,
    save_interrupted,
)
from worldswitch.hypervisor.svm.processor import PhysicalCpu
from worldswitch.hypervisor.svm.registers import (
    GROUPS,
    LOADED_SEGMENTS,
    SvmRegisters,
    fields_of,
)
from worldswitch.hypervisor.svm.words import (
    ASID,
    CLEAN,
    CR0,
    CR2,
    CR3,
    CR4,
    CS_ATTRIBUTES,
    CS_DEFAULT,
    CS_LONG,
    EFER,
    EVENT_INJ,
    EXIT_CODE,
    EXIT_INT_INFO,
    INT_STATE,
    NEXT_RIP,
    RFLAGS,
    RIP,
    TLB_CONTROL,
    TSC_OFFSET,
    V_INTR,
    words,
)
from worldswitch.hypervisor.x86.events import ExceptionEvent, GuestException
from worldswitch.hypervisor.x86.mmio import CODE_16, CODE_32, CODE_64
from worldswitch.hypervisor.x86.state import (
    MASK32,
    MASK64,
    SEGMENT_NAMES,
    CpuMode,
    Gr,
    SegmentState,
)
from worldswitch.hypervisor.x86.vcpu import X86Vcpu
from worldswitch.metal.interface import EntryResult, X86Host

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vm import SvmVm

EVERYTHING_DIRTY = 0xFFFF_FFFF
NEVER = MASK64
"""No instruction address: what was never left."""
NO_GENERATION = -1
ADVANCING = frozenset(int(code) for code, info in EXIT_INFO.items() if info.nrip) | {0x400}
"""Exits after which RIP may be moved: those of instructions, with the next one's address saved,
and those of accesses that the hypervisor makes itself."""
# As plain integers, which are quicker to calculate with.
TF, RF, STEPPED = int(Rflags.TF), int(Rflags.RF), int(Rflags.TF | Rflags.RF)
LMA, SVME, PE = int(Efer.LMA), int(Efer.SVME), int(Cr0.PE)
VALID = int(Event.V)
CRX, CR2_GROUP = int(Clean.CRX), int(Clean.CR2)
INTERCEPTS, ASID_GROUP = int(Clean.INTERCEPTS), int(Clean.ASID)
IRET = int(Intercept1.IRET)
INVALID = int(SvmExit.INVALID)
MOST_BYTES = 15
EXIT = EntryResult.EXIT


class OtherExit(IntEnum):
    """What ends a stay in the guest and is not in the manual."""

    UNKNOWN = 0x1_0000
    """An exit code that the architecture does not have."""


class SvmVcpu(X86Vcpu):
    """A guest CPU. Load it on a physical processor, run it, put it."""

    OWN_REGISTERS: ClassVar[frozenset[int]] = frozenset({Gr.RAX, Gr.RSP})
    vm: "SvmVm"  # pyright: ignore[reportIncompatibleVariableOverride] - set once, and never again

    def __init__(self, vm: "SvmVm", address: int, handlers: "Handlers") -> None:
        storage = vm.storage
        self._handlers = handlers
        self.vmcb_pa = storage.allocate(SIZE, ALIGNMENT)
        view = storage.view[self.vmcb_pa : self.vmcb_pa + SIZE]
        self.vmcb = Vmcb(view)
        self.save = self.vmcb.save
        self.b = view
        self.d = words(view, "I")
        self.q = words(view, "Q")
        """The VMCB in bytes, and in words of 32 and 64 bits."""
        self.dirty = EVERYTHING_DIRTY
        """Groups of fields that were changed since the last entry."""
        self.clean = vm.clean_mask
        self.next_rip = NEVER
        """Where the guest was left: elsewhere an interrupt shadow does not hold any more."""
        self.v_intr = 0
        """The word with the virtual interrupt as it was written or seen last."""
        self.injected = False
        self.usual_slice: int | None = None
        """The host's time slice while it is shortened for a self-IPI."""
        self.last_cpu: PhysicalCpu | None = None
        self._cpu: PhysicalCpu | None = None
        self._epoch = 0
        self._asid_generation = NO_GENERATION
        self._npt_generation = NO_GENERATION
        self._flushing = False
        self._left_half = False
        self._resident = False
        self._stored = True
        self._always = vm.options.switch_always
        super().__init__(vm, address)
        self.gr = SvmRegisters(self.registers, self.q)
        controls.set_up(self)
        self.reset()

    # State.

    @property
    def rip(self) -> int:
        return self.q[RIP]

    @rip.setter
    def rip(self, value: int) -> None:
        self.q[RIP] = value & MASK64

    @property
    def rflags(self) -> int:
        return self.q[RFLAGS]

    @rflags.setter
    def rflags(self, value: int) -> None:
        self.q[RFLAGS] = value

    @property
    def cr0(self) -> int:
        return self.q[CR0]

    @cr0.setter
    def cr0(self, value: int) -> None:
        self.q[CR0] = value
        self.dirty |= CRX

    @property
    def cr2(self) -> int:
        return self.q[CR2]

    @cr2.setter
    def cr2(self, value: int) -> None:
        self.q[CR2] = value
        self.dirty |= CR2_GROUP

    @property
    def cr3(self) -> int:
        return self.q[CR3]

    @cr3.setter
    def cr3(self, value: int) -> None:
        self.q[CR3] = value
        self.dirty |= CRX
        self.flush_translations()

    @property
    def cr4(self) -> int:
        return self.q[CR4]

    @cr4.setter
    def cr4(self, value: int) -> None:
        self.q[CR4] = value
        self.dirty |= CRX
        self.flush_translations()

    @property
    def efer(self) -> int:
        return self.q[EFER]

    @efer.setter
    def efer(self, value: int) -> None:
        self.q[EFER] = value | SVME  # must be set while the guest executes
        self.dirty |= CRX

    @property
    def cpl(self) -> int:
        return self.save.cpl

    def mode(self) -> CpuMode:
        if self.q[EFER] & LMA:
            return CpuMode.LONG if self.d[CS_ATTRIBUTES] & CS_LONG else CpuMode.COMPATIBILITY
        return CpuMode.PROTECTED if self.q[CR0] & PE else CpuMode.REAL

    def code_size(self) -> int:
        attributes = self.d[CS_ATTRIBUTES]
        if self.q[EFER] & LMA and attributes & CS_LONG:
            return CODE_64
        return CODE_32 if attributes & CS_DEFAULT else CODE_16

    def descriptor(self, name: str) -> SegmentState:
        if name in LOADED_SEGMENTS:
            self.store_loaded()
        part = getattr(self.save, name)
        return SegmentState(part.selector, part.base, part.limit, part.attrib)

    def set_descriptor(self, name: str, value: SegmentState) -> None:
        if name in LOADED_SEGMENTS:
            self.store_loaded()
        part = getattr(self.save, name)
        part.selector, part.base = value.selector, value.base & MASK64
        part.limit, part.attrib = value.limit, value.attributes
        if name == "ss":
            self.save.cpl = value.dpl
        if name in LOADED_SEGMENTS:
            self.load_stored()
        else:
            self.dirty |= GROUPS[name]

    def segment(self, number: int) -> SegmentState:
        return self.descriptor(SEGMENT_NAMES[number])

    def system(self, name: str) -> int:
        block, field = fields_of(self, name)
        return getattr(block, field)

    def set_system(self, name: str, value: int) -> None:
        block, field = fields_of(self, name)
        setattr(block, field, value)
        group = GROUPS.get(name)
        if group is None:
            self.load_stored()
        else:
            self.dirty |= group

    @property
    def interrupt_shadow(self) -> bool:
        return bool(self.d[INT_STATE] & 1)

    @interrupt_shadow.setter
    def interrupt_shadow(self, value: bool) -> None:
        old = self.d[INT_STATE]
        new = old & ~1 | value
        if new != old:
            self.d[INT_STATE] = new
            if self.vm.sink is not None:
                self.trace("interrupt_shadow", value=int(value))

    @property
    def nmi_blocked(self) -> bool:
        return controls.intercepted(self, controls.FIRST, IRET)

    @property
    def tsc_offset(self) -> int:
        return self.q[TSC_OFFSET]

    @tsc_offset.setter
    def tsc_offset(self, value: int) -> None:
        self.q[TSC_OFFSET] = value & MASK64
        self.dirty |= INTERCEPTS

    def flush_translations(self) -> None:
        """Have the guest's TLB entries dropped with the next entry."""
        self._npt_generation = NO_GENERATION

    # Life on physical processors.

    @property
    def host(self) -> X86Host:
        if self._cpu is None:
            raise RuntimeError(f"virtual CPU {self.address} is not loaded on a processor")
        return self._cpu.host

    @property
    def loaded_on(self) -> PhysicalCpu | None:
        """The processor that it is loaded on."""
        return self._cpu

    def load(self, cpu: PhysicalCpu) -> None:
        """Make a physical processor this virtual CPU's.

        On another one than the last its ASID means nothing, and nothing of the VMCB is cached.
        """
        if self._cpu is cpu:
            return
        self.put()
        self._cpu = cpu
        if self.last_cpu is not cpu or self._epoch != cpu.epoch:
            self._asid_generation = NO_GENERATION
            self.dirty = EVERYTHING_DIRTY
            if self.last_cpu is not cpu:
                self.statistics.count("migrations")
            self.last_cpu, self._epoch = cpu, cpu.epoch
        self.registers.load(cpu.host)
        host = cpu.host
        self._clgi, self._stgi, self._vmrun = host.clgi, host.stgi, host.vmrun
        self._pool = cpu.asids
        if not self._always:
            host.vmload(self.vmcb_pa)
            self._resident = self._stored = True

    def put(self) -> None:
        """Leave the physical processor: its registers are saved, the host's come back."""
        cpu = self._cpu
        if cpu is None:
            return
        if self._resident:
            self.store_loaded()
            self._resident = False
            cpu.load_own()
        if self.usual_slice is not None:
            self._end_self_ipi()
        self.registers.put()
        self._cpu = None

    def store_loaded(self) -> None:
        """See that the VMCB has what VMLOAD takes from it as the guest has it now.

        The hypervisor itself uses none of that state, so it stays in the physical processor from
        exit to entry while the virtual CPU is loaded.
        """
        if not self._stored:
            self.host.vmsave(self.vmcb_pa)
            self._stored = True

    def load_stored(self) -> None:
        """What VMLOAD takes from the VMCB was changed there."""
        if self._resident:
            self.host.vmload(self.vmcb_pa)

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
        if self.work or (self.polls_pic and self.external_interrupt() is not None):
            end = inject(self)
            if end is not None:
                self._stgi()
                return end
        elif self.q[RIP] != self.next_rip and self.d[INT_STATE] & 1:
            self.interrupt_shadow = False
        if (
            self._npt_generation != self.vm.npt.generation
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
        if not allocate and self._npt_generation != generation:
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
        self._npt_generation = generation
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
            self._stored = False
            result = self._vmrun(self.vmcb_pa)
        if result is not EXIT:
            self._left_half = True
            return Preempted()
        self._left_half = False
        self._stgi()
        q = self.q
        self.next_rip = q[RIP]
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
        cpu = self._cpu
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
        return self.next_rip

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
        rip = q[RIP] + distance
        if rip > MASK32:
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
