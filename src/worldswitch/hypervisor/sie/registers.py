"""Registers that SIE does not switch: the hypervisor's to load and save.

General registers 14 and 15 are in the state description; 0 to 13, the access, floating-point and
vector registers and the FPC are shared with the host. While a virtual CPU is loaded, what it sees
is in the physical registers; while it is not, here.
"""

from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.metal.interface import Registers, S390Host

MASK64 = 0xFFFF_FFFF_FFFF_FFFF
SHARED = 14
"""General registers that the guest shares with the host: 0 to 13."""


class GuestRegisters:
    """A guest's general registers 0 to 15, wherever they are now."""

    __slots__ = ("_file", "_sd")

    def __init__(self, file: "RegisterFile", sd: StateDescription) -> None:
        self._file = file
        self._sd = sd

    def __len__(self) -> int:
        return 16

    def __getitem__(self, n: int) -> int:
        if n < SHARED:
            file = self._file
            return file.host.gr[n] if file.host is not None else file.gr[n]
        return self._sd.gg14 if n == SHARED else self._sd.gg15

    def __setitem__(self, n: int, value: int) -> None:
        value &= MASK64
        if n < SHARED:
            file = self._file
            if file.host is not None:
                file.host.gr[n] = value
            else:
                file.gr[n] = value
        elif n == SHARED:
            self._sd.gg14 = value
        else:
            self._sd.gg15 = value


class ShownRegisters(GuestRegisters):
    """A protected guest's general registers: what the Ultravisor shows with an interception.

    They are in the page of the state description, `origin` on. ref: SIE protected guest
    """

    __slots__ = ("_origin", "_view")

    def __init__(self, file: "RegisterFile", sd: StateDescription, view: memoryview, origin: int):
        super().__init__(file, sd)
        self._view = view
        self._origin = origin

    def __getitem__(self, n: int) -> int:
        at = self._origin + 8 * n
        return int.from_bytes(self._view[at : at + 8], "big")

    def __setitem__(self, n: int, value: int) -> None:
        at = self._origin + 8 * n
        self._view[at : at + 8] = (value & MASK64).to_bytes(8, "big")


class LeftHalves:
    """The floating-point registers within saved vector registers."""

    def __init__(self, vectors: list[int]) -> None:
        self._vectors = vectors

    def __len__(self) -> int:
        return 16

    def __getitem__(self, n: int) -> int:
        return self._vectors[n] >> 64

    def __setitem__(self, n: int, value: int) -> None:
        self._vectors[n] = value << 64 | self._vectors[n] & MASK64


class RegisterFile:
    """The shared registers of one guest CPU and the processor that holds them now."""

    def __init__(self, vector: bool) -> None:
        self.vector = vector
        self.host: S390Host | None = None
        self.gr = [0] * SHARED
        self.ar_saved = [0] * 16
        self.fr_saved = [0] * 16
        self.vr_saved = [0] * 32
        self.fpc_saved = 0

    def load(self, host: S390Host) -> None:
        """Make a processor's registers the guest's."""
        for n, value in enumerate(self.gr):
            host.gr[n] = value
        for n, value in enumerate(self.ar_saved):
            host.ar[n] = value
        if self.vector:
            for n, value in enumerate(self.vr_saved):
                host.vr[n] = value
        else:
            for n, value in enumerate(self.fr_saved):
                host.fr[n] = value
        host.fpc = self.fpc_saved
        self.host = host

    def put(self) -> None:
        """Save the guest's registers from the processor that holds them."""
        host = self.host
        if host is None:
            return
        self.gr = [host.gr[n] for n in range(SHARED)]
        self.ar_saved = [host.ar[n] for n in range(16)]
        if self.vector:
            self.vr_saved = [host.vr[n] for n in range(32)]
        else:
            self.fr_saved = [host.fr[n] for n in range(16)]
        self.fpc_saved = host.fpc
        self.host = None

    @property
    def ar(self) -> Registers:
        """Access registers."""
        return self.host.ar if self.host is not None else self.ar_saved

    @property
    def fr(self) -> Registers:
        """Floating-point registers."""
        if self.host is not None:
            return self.host.fr
        return LeftHalves(self.vr_saved) if self.vector else self.fr_saved

    @property
    def vr(self) -> Registers:
        """Vector registers."""
        return self.host.vr if self.host is not None else self.vr_saved

    @property
    def fpc(self) -> int:
        """Floating-point-control register."""
        return self.host.fpc if self.host is not None else self.fpc_saved

    @fpc.setter
    def fpc(self, value: int) -> None:
        if self.host is not None:
            self.host.fpc = value & 0xFFFF_FFFF
        else:
            self.fpc_saved = value & 0xFFFF_FFFF

    def clear(self, general: bool) -> None:
        """Zero the FPC, and with `general` all the others. ref: PoP 4 Resets."""
        self.fpc = 0
        if not general:
            return
        holder = self.host
        gr = holder.gr if holder is not None else self.gr
        for n in range(SHARED):
            gr[n] = 0
        for n in range(16):
            self.ar[n] = 0
        if self.vector:
            for n in range(32):
                self.vr[n] = 0
        else:
            for n in range(16):
                (holder.fr if holder is not None else self.fr_saved)[n] = 0
