"""Registers that entering a guest does not switch: the hypervisor's to load and save.

While a virtual CPU is loaded, what it sees is in the physical registers; while it is not, here.
"""

from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.registers import Xcr0
from worldswitch.hypervisor.x86.state import MASK32
from worldswitch.metal.interface import Registers, X86Host

GENERAL = 16
BREAKPOINTS = 4
"""DR0 to DR3."""
FXSAVE_SIZE = 512
FCW_OFFSET, FTW_OFFSET, MXCSR_OFFSET = 0, 4, 24
FCW_RESET, FTW_RESET, MXCSR_RESET = 0x0040, 0xFF, 0x1F80


def reset_image() -> bytes:
    """The FXSAVE image of a processor after RESET. ref: APM2 14.1.3 Processor Initialization."""
    image = bytearray(FXSAVE_SIZE)
    image[FCW_OFFSET : FCW_OFFSET + 2] = FCW_RESET.to_bytes(2, "little")
    image[FTW_OFFSET] = FTW_RESET
    image[MXCSR_OFFSET : MXCSR_OFFSET + 4] = MXCSR_RESET.to_bytes(4, "little")
    return bytes(image)


class HostRegisters:
    """What a processor's own registers were before a guest's took their place."""

    def __init__(self, host: X86Host) -> None:
        self.host = host
        self.taken = False
        self.has_tsc_aux = bool(host.features & {"rdtscp", "rdpid"})
        self.xcr0 = 0
        self._breakpoints = [0] * BREAKPOINTS
        self._image = b""
        self._tsc_aux = 0

    def take(self) -> None:
        """A guest is about to be loaded: keep the registers, unless they are kept already."""
        if self.taken:
            return
        host = self.host
        self.taken = True
        self._breakpoints = [host.dr[n] for n in range(BREAKPOINTS)]
        self._image = host.fxsave()
        self.xcr0 = host.xcr0
        if self.has_tsc_aux:
            self._tsc_aux = host.rdmsr(Msr.TSC_AUX)

    def give_back(self) -> None:
        """No guest is loaded any more."""
        host = self.host
        if not self.taken:
            return
        self.taken = False
        if host.xcr0 != self.xcr0:
            host.xcr0 = self.xcr0
        host.fxrstor(self._image)
        for n, value in enumerate(self._breakpoints):
            host.dr[n] = value
        if self.has_tsc_aux:
            host.wrmsr(Msr.TSC_AUX, self._tsc_aux)


class RegisterFile:
    """The shared registers of one virtual CPU and the processor that holds them now.

    own: numbers of the general registers that the facility switches itself. bank: the others,
    wherever they are.
    """

    def __init__(self, own: frozenset[int]) -> None:
        self._switched = [n for n in range(GENERAL) if n not in own]
        self.host: X86Host | None = None
        self._saved = [0] * GENERAL
        self.bank: Registers = self._saved
        self._breakpoints = [0] * BREAKPOINTS
        self._image = reset_image()
        self._xcr0 = int(Xcr0.X87)
        self._tsc_aux = 0
        self._has_tsc_aux = False

    def load(self, own: HostRegisters) -> None:
        """Make a processor's registers the guest's; the host's own are kept."""
        own.take()
        host = own.host
        self._has_tsc_aux = own.has_tsc_aux
        if self._has_tsc_aux:
            host.wrmsr(Msr.TSC_AUX, self._tsc_aux)
        gr = host.gr
        for n in self._switched:
            gr[n] = self._saved[n]
        for n, value in enumerate(self._breakpoints):
            host.dr[n] = value
        host.fxrstor(self._image)
        if self._xcr0 != host.xcr0:
            host.xcr0 = self._xcr0
        self.bank = gr
        self.host = host

    def put(self) -> None:
        """Save the guest's registers from the processor that holds them."""
        host = self.host
        if host is None:
            return
        gr = host.gr
        for n in self._switched:
            self._saved[n] = gr[n]
        self._breakpoints = [host.dr[n] for n in range(BREAKPOINTS)]
        self._image = host.fxsave()
        self.bank = self._saved
        self.host = None

    @property
    def breakpoints(self) -> Registers:
        """DR0 to DR3."""
        return self._breakpoints if self.host is None else self.host.dr

    @property
    def image(self) -> bytes:
        """x87, MMX and SSE state as FXSAVE64 stores it."""
        return self._image if self.host is None else self.host.fxsave()

    @image.setter
    def image(self, value: bytes) -> None:
        self._image = value
        if self.host is not None:
            self.host.fxrstor(value)

    @property
    def xcr0(self) -> int:
        """Extended control register 0 of the guest."""
        return self._xcr0

    @xcr0.setter
    def xcr0(self, value: int) -> None:
        self._xcr0 = value
        if self.host is not None:
            self.host.xcr0 = value

    @property
    def tsc_aux(self) -> int:
        """TSC_AUX, which RDTSCP and RDPID read."""
        return self._tsc_aux

    @tsc_aux.setter
    def tsc_aux(self, value: int) -> None:
        self._tsc_aux = value & MASK32
        if self.host is not None and self._has_tsc_aux:
            self.host.wrmsr(Msr.TSC_AUX, self._tsc_aux)

    def clear(self, reset: bool) -> None:
        """The values after INIT, or after RESET, which clears x87 and SSE state too."""
        for n in self._switched:
            self.bank[n] = 0
        for n in range(BREAKPOINTS):
            self.breakpoints[n] = 0
        if reset:
            self.image = reset_image()
            self.xcr0 = int(Xcr0.X87)
            self.tsc_aux = 0
