"""A physical processor as the hypervisor on it sees it: `interface.X86Host`, on the metal."""

import ctypes
import functools
import struct
from typing import Any

from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.registers import Cr0, Cr4, Efer, Rflags
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import Typed
from worldswitch.metal.host import HostBase
from worldswitch.metal.interface import EntryResult, GeneralProtection
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.pending import PENDING_MACHINE_CHECK, PENDING_NMI, PENDING_SMI
from worldswitch.metal.x86.processor import Processor
from worldswitch.metal.x86.state import CS, DS, ES, FS, GS, SS, Cpu
from worldswitch.metal.x86.svm.calls import FAULT
from worldswitch.metal.x86.svm.compiled import CompiledHandler

VMEXIT, EXIT = int(Exit.VMEXIT), EntryResult.EXIT
CODE = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_CODE | SegAttr.TYPE_W | SegAttr.TYPE_A
           | SegAttr.L | SegAttr.G)  # fmt: skip
DATA = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_W | SegAttr.TYPE_A | SegAttr.DB | SegAttr.G)
CODE_SELECTOR, DATA_SELECTOR = 0x10, 0x18
MXCSR_MASK = 0xFFFF
FXSAVE_SIZE = 512
FXSAVE_HEAD = struct.Struct("<HHBxHQQII")
FXSAVE_XMM = 160
MASK_64 = 2**64 - 1
TAKEN = PENDING_NMI | PENDING_SMI | PENDING_MACHINE_CHECK


class HostShutdown(Exception):  # noqa: N818 - it is named after the processor's state
    """The physical processor has shut down, or was reset: nothing executes on it any more."""


class Host(HostBase):
    """One physical processor, in the state that a hypervisor's code would run in: 64-bit mode."""

    def __init__(self, processor: Processor) -> None:
        super().__init__(processor, Cpu)
        self.processor = processor
        self.storage = processor.storage
        self.apic_id = processor.apic_id
        self.features: frozenset[str] = processor.complex.model.features
        self.gr = self.array("gr", ctypes.c_uint64, 16)
        self.dr = self.array("dr", ctypes.c_uint64, 8)
        self._args = self.array("exit_args", ctypes.c_uint64, 6)
        self._request = self.array("vm_request", ctypes.c_uint64)
        self._reason = self.array("exit_reason", ctypes.c_uint32)
        self._pending = self.array("pending", ctypes.c_uint64)
        self._run = processor.run_native
        self._rdtsc = functools.partial(processor.call, "host_rdtsc")
        self._shared = processor.complex
        self._compiled: CompiledHandler | None = None
        self._begin()

    def _begin(self) -> None:
        """64-bit mode with paging, as a kernel has set it up."""
        raw = self.processor.raw
        raw.running = 1
        raw.vm_native = 0
        raw.cr0 = Cr0.PG | Cr0.AM | Cr0.WP | Cr0.NE | Cr0.ET | Cr0.MP | Cr0.PE
        raw.cr4 = (Cr4.PAE | Cr4.PGE | Cr4.MCE | Cr4.OSFXSR | Cr4.OSXMMEXCPT) & raw.cr4_mask
        raw.efer = (Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE) & raw.efer_mask
        raw.cr3 = 0
        for number in (ES, CS, SS, DS, FS, GS):
            raw.seg_selector[number] = CODE_SELECTOR if number == CS else DATA_SELECTOR
            raw.seg_attr[number] = CODE if number == CS else DATA
            raw.seg_base[number] = 0
            raw.seg_limit[number] = 0xFFFF_FFFF
        raw.cpl = 0
        self.processor.rflags = Rflags.IF | Rflags.ONE

    @property
    def cr2(self) -> int:
        """The physical CR2: after #VMEXIT it is as the guest left it."""
        return self.processor.raw.cr2

    @property
    def xcr0(self) -> int:
        """Extended control register 0, which nothing switches."""
        return self.processor.raw.xcr0

    @xcr0.setter
    def xcr0(self, value: int) -> None:
        raw = self.processor.raw
        if not value & 1 or value & ~raw.xcr0_mask or value & 6 == 4:
            raise GeneralProtection(f"XSETBV of {value:#x}")
        raw.xcr0 = value
        self.processor.call("update_mode")

    @property
    def icount(self) -> int:
        """Instructions that the processor has executed."""
        return self.processor.icount

    def vmrun(self, vmcb: int) -> EntryResult:
        """Issue VMRUN with the VMCB at physical address `vmcb`.

        EXIT after #VMEXIT. PREEMPTED: the host's slice is over, but the VMCB does not let an
        interrupt end the guest now (no INTR intercept, or interrupts are off); the processor is
        still in the guest, and the next `vmrun` goes on with it. Raises GeneralProtection where
        VMRUN would fault, and HostShutdown if the guest has taken the processor down.
        """
        if self._others:
            self.processor.clock = self._clock()
        self._request[0] = vmcb + 1
        self._run()
        if self._reason[0] == VMEXIT and self._shared.failure is None:
            return EXIT
        return self._settled(vmcb)

    def _settled(self, vmcb: int) -> EntryResult:
        """The result of a VMRUN that has not simply ended with #VMEXIT."""
        reason = self.processor.settle()
        if reason == VMEXIT:
            return EXIT
        if reason == Exit.PREEMPTED:
            return EntryResult.PREEMPTED
        self._request[0] = 0
        if reason == Exit.VMRUN_FAULT:
            raise GeneralProtection(f"VMRUN of the VMCB at {vmcb:#x}")
        if reason == Exit.EVENT_LOOP:
            # A compiled handler enters a guest again and again that VMRUN refuses.
            return EXIT
        raise HostShutdown(f"processor {self.apic_id}: {Exit(reason).name}")

    def handle_natively(self, handler: Typed[Any, Any] | None) -> None:
        """Have a typed function deal with exits, without a return to Python.

        See `svm.compiled.CompiledHandler`; None: no longer. What the handler returns False for
        comes out of `vmrun` as ever.
        """
        self._compiled = None
        if handler is not None:
            self._compiled = CompiledHandler(handler, self.processor.complex.image)
        self.processor.raw.exit_handler = 0 if self._compiled is None else self._compiled.address

    def _checked(self, what: str) -> None:
        if self._args[FAULT]:
            raise GeneralProtection(what)

    def cpuid(self, leaf: int, subleaf: int = 0) -> tuple[int, int, int, int]:
        """EAX, EBX, ECX and EDX."""
        self.processor.call("host_cpuid", leaf, subleaf)
        a, b, c, d = self._args[:4]
        return a, b, c, d

    def rdmsr(self, msr: int) -> int:
        """A model-specific register; raises GeneralProtection if there is none."""
        self.processor.call("host_rdmsr", msr)
        self._checked(f"RDMSR of {msr:#x}")
        return self._args[0]

    def wrmsr(self, msr: int, value: int) -> None:
        """Write one; raises GeneralProtection where WRMSR would."""
        if msr == Msr.TSC and self._others:
            self.processor.clock = self._clock()
        self.processor.call("host_wrmsr", msr, value)
        self._checked(f"WRMSR of {value:#x} to {msr:#x}")

    def _clock(self) -> int:
        """The machine's clock: processors execute in turn, so it is the latest of theirs."""
        return max(self.processor.clock, *(other.clock for other in self._others))

    def rdtsc(self) -> int:
        """The physical time-stamp counter (64 bits)."""
        if self._others:
            self.processor.clock = self._clock()
        return self._rdtsc()

    def vmload(self, vmcb: int) -> None:
        """Load FS, GS, TR, LDTR and the MSRs that go with them from a VMCB."""
        self.processor.call("host_vmload", vmcb)
        self._checked(f"VMLOAD of the VMCB at {vmcb:#x}")

    def vmsave(self, vmcb: int) -> None:
        """Save them."""
        self.processor.call("host_vmsave", vmcb)
        self._checked(f"VMSAVE to the VMCB at {vmcb:#x}")

    def stgi(self) -> None:
        """Set the global interrupt flag: the host takes what was held pending.

        Its handlers of NMIs, SMIs and machine checks have nothing to do.
        """
        self.processor.raw.gif = 1
        if self._pending[0]:
            self._pending[0] &= ~TAKEN

    def clgi(self) -> None:
        """Clear it: interrupts, NMIs, SMIs and INIT are held pending."""
        self.processor.raw.gif = 0

    def invlpga(self, address: int, asid: int) -> None:
        """Invalidate this processor's translation of one page in an address space."""
        self.processor.call("purge_page_of_asid", asid, address)

    def flush_tlb(self) -> None:
        """What a write to the host's CR4.PGE does: drop this processor's entries of ASID 0."""
        self.processor.call("host_flush")

    def fxsave(self) -> bytes:
        """x87, MMX and SSE state, 512 bytes as FXSAVE64 stores them."""
        raw = self.processor.raw
        image = bytearray(FXSAVE_SIZE)
        FXSAVE_HEAD.pack_into(
            image, 0, raw.x87_control, raw.x87_status, raw.x87_tags, raw.x87_opcode, raw.x87_ip,
            raw.x87_dp, raw.mxcsr, MXCSR_MASK,
        )  # fmt: skip
        top = raw.x87_status >> 11 & 7
        for n in range(8):
            at = top + n & 7
            struct.pack_into("<QH", image, 32 + 16 * n, raw.st[at], raw.st_exponent[at])
        for n in range(16):
            struct.pack_into(
                "<QQ", image, FXSAVE_XMM + 16 * n, raw.xmm[4 * n], raw.xmm[4 * n + 1]
            )  # fmt: skip
        return bytes(image)

    def fxrstor(self, image: bytes) -> None:
        """Load such an image; raises GeneralProtection for reserved bits of MXCSR."""
        head = FXSAVE_HEAD.unpack_from(image)
        if head[6] & ~MXCSR_MASK:
            raise GeneralProtection(f"FXRSTOR of MXCSR {head[6]:#x}")
        raw = self.processor.raw
        raw.x87_control, raw.x87_status, raw.x87_tags, raw.x87_opcode = head[:4]
        raw.x87_ip, raw.x87_dp, raw.mxcsr = head[4:7]
        top = raw.x87_status >> 11 & 7
        for n in range(8):
            at = top + n & 7
            raw.st[at], raw.st_exponent[at] = struct.unpack_from("<QH", image, 32 + 16 * n)
        for n in range(16):
            raw.xmm[4 * n], raw.xmm[4 * n + 1] = struct.unpack_from(
                "<QQ", image, FXSAVE_XMM + 16 * n
            )
