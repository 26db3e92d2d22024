"""A guest's state under SVM: in its VMCB, and in physical registers while it is loaded."""

from typing import TYPE_CHECKING, ClassVar

from worldswitch.arch.x86.registers import Cr0, Efer
from worldswitch.arch.x86.svm_controls import Clean, Intercept1
from worldswitch.arch.x86.vmcb import ALIGNMENT, SIZE, Vmcb
from worldswitch.hypervisor.svm import controls
from worldswitch.hypervisor.svm.processor import PhysicalCpu
from worldswitch.hypervisor.svm.registers import (
    GROUPS,
    LOADED_SEGMENTS,
    SvmRegisters,
    fields_of,
)
from worldswitch.hypervisor.svm.words import (
    CR0,
    CR2,
    CR3,
    CR4,
    CS_ATTRIBUTES,
    CS_DEFAULT,
    CS_LONG,
    EFER,
    INT_STATE,
    RFLAGS,
    RIP,
    TSC_OFFSET,
    words,
)
from worldswitch.hypervisor.x86.mmio import CODE_16, CODE_32, CODE_64
from worldswitch.hypervisor.x86.state import (
    MASK64,
    SEGMENT_NAMES,
    CpuMode,
    Gr,
    SegmentState,
)
from worldswitch.hypervisor.x86.vcpu import X86Vcpu
from worldswitch.metal.interface import X86Host

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vm import SvmVm

EVERYTHING_DIRTY = 0xFFFF_FFFF
NEVER = MASK64
"""No instruction address: what was never left."""
NO_GENERATION = -1
# As plain integers, which are quicker to calculate with.
LMA, SVME, PE = int(Efer.LMA), int(Efer.SVME), int(Cr0.PE)
CRX, CR2_GROUP, INTERCEPTS = int(Clean.CRX), int(Clean.CR2), int(Clean.INTERCEPTS)
IRET = int(Intercept1.IRET)


class SvmState(X86Vcpu):
    """A guest CPU's VMCB, and what is in it."""

    OWN_REGISTERS: ClassVar[frozenset[int]] = frozenset({Gr.RAX, Gr.RSP})
    vm: "SvmVm"  # pyright: ignore[reportIncompatibleVariableOverride] - set once, and never again

    def __init__(self, vm: "SvmVm", address: int) -> None:
        storage = vm.storage
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
        self.v_intr = 0
        """The word with the virtual interrupt as it was written or seen last."""
        self.loaded_on: PhysicalCpu | None = None
        """The processor that it is loaded on."""
        self.npt_generation = NO_GENERATION
        """The generation of the nested page tables that its translations are of."""
        self.resident = False
        """Whether a physical processor has what VMLOAD loads."""
        self.stored = True
        """Whether the VMCB has it, too, as it is now."""
        super().__init__(vm, address)
        self.left_at = NEVER
        self.gr = SvmRegisters(self.registers, self.q)

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
        self.npt_generation = NO_GENERATION

    def store_loaded(self) -> None:
        """See that the VMCB has what VMLOAD takes from it as the guest has it now.

        The hypervisor itself uses none of that state, so it stays in the physical processor from
        exit to entry while the virtual CPU is loaded.
        """
        if not self.stored:
            self.host.vmsave(self.vmcb_pa)
            self.stored = True

    def load_stored(self) -> None:
        """What VMLOAD takes from the VMCB was changed there."""
        if self.resident:
            self.host.vmload(self.vmcb_pa)

    @property
    def host(self) -> X86Host:
        if self.loaded_on is None:
            raise RuntimeError(f"virtual CPU {self.address} is not loaded on a processor")
        return self.loaded_on.host
