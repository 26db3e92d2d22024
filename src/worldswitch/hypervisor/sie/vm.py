"""A guest under SIE: its storage, CPUs, floating interruptions and shared control blocks."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.facilities import (
    HYPERVISOR_PROVIDED,
    Facility,
    facility_list,
    with_prerequisites,
)
from worldswitch.arch.s390x.models import CpuModel
from worldswitch.arch.s390x.state_description import CRYCB_ORIGIN, FAC_ORIGIN
from worldswitch.arch.s390x.translation import PAGE_SIZE, SEGMENT_SIZE
from worldswitch.hypervisor.sie import ultravisor
from worldswitch.hypervisor.sie.events import FloatingEvent
from worldswitch.hypervisor.sie.floating import FloatingInterrupts
from worldswitch.hypervisor.sie.gmap import GuestMap
from worldswitch.hypervisor.sie.guest_storage import GuestStorage
from worldswitch.hypervisor.sie.interception import dispatch
from worldswitch.hypervisor.sie.options import Options
from worldswitch.hypervisor.sie.page_states import PageStates
from worldswitch.hypervisor.sie.sca import SystemControlArea
from worldswitch.hypervisor.sie.vcpu import SieVcpu
from worldswitch.hypervisor.vm import Vm
from worldswitch.metal.interface import S390Host

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.protected import ProtectedConfiguration

FACILITY_WORDS = 32
MOST_WARNINGS = 100
GUEST_VERSION = 0xFF
"""Version code in the CPU id of a CPU that a hypervisor provides."""


class SieVm(Vm):
    """A guest with `memory` bytes of storage and `cpus` CPUs of `model`.

    hosts: the physical processors that its virtual CPUs may be loaded on. A guest has no facility
    that one of them lacks, except those that the hypervisor itself provides.
    """

    def __init__(
        self,
        hosts: list[S390Host],
        memory: int,
        cpus: int,
        model: CpuModel,
        options: Options | None = None,
        name: str = "WORLDSW",
    ) -> None:
        super().__init__(name)
        self.hosts = hosts
        first = hosts[0]
        self.options = options or Options()
        self.warnings: list[str] = []
        self.features = first.sie_features
        self.model = model
        installed = frozenset.intersection(*(host.facilities for host in hosts))
        self.facilities = with_prerequisites(model.facilities & installed) | HYPERVISOR_PROVIDED
        self.cpu_id = model.cpu_id(0, GUEST_VERSION)
        storage = first.storage
        size = -(-memory // SEGMENT_SIZE) * SEGMENT_SIZE
        backing = storage.allocate(size, SEGMENT_SIZE)
        self.gmap = GuestMap(storage, self._purge)
        self.gmap.insert(0, backing, size)
        self.memory = GuestStorage(storage, self.gmap, size)
        self.page_states = PageStates()
        self.facility_list_origin = storage.allocate(FACILITY_WORDS * 8)
        self.crycb_origin = storage.allocate(256)
        if (self.facility_list_origin & ~FAC_ORIGIN) or (self.crycb_origin & ~CRYCB_ORIGIN):
            raise MemoryError("the host has no free storage below 2 GiB for a guest's controls")
        self.store_facilities()
        self.sigp_interpretation = self.features.sigpif and self.options.sigp_interpretation
        self.sca = SystemControlArea(storage, self.features.sca_64bit)
        if not 0 < cpus <= self.sca.most_cpus:
            raise ValueError(f"a guest has 1 to {self.sca.most_cpus} CPUs, not {cpus}")
        self.floating = FloatingInterrupts()
        self.protected: ProtectedConfiguration | None = None
        self.warned_validity = False
        self.warn: Callable[[str], None] = self._keep_warning
        self._lent: dict[str, tuple[int, int]] = {}
        self.css_reset: Callable[[], None] | None = None
        self._vcpus = [SieVcpu(self, n, dispatch) for n in range(cpus)]

    @property
    def vcpus(self) -> "list[SieVcpu]":
        return self._vcpus

    @property
    def size(self) -> int:
        """Bytes of guest storage."""
        return self.memory.size

    def has(self, facility: int) -> bool:
        """Whether the guest has a facility."""
        return facility in self.facilities

    def store_facilities(self) -> None:
        """Have SIE offer the guest `facilities`, at the next entry of each CPU."""
        words = facility_list(self.facilities)[:FACILITY_WORDS]
        data = b"".join(word.to_bytes(8, "big") for word in words)
        self.hosts[0].storage.write(self.facility_list_origin, data)

    def facility_word(self) -> int:
        """The first 32 facility bits, as STORE FACILITY LIST has them."""
        return facility_list(self.facilities | {Facility.N3})[0] >> 32

    def now(self) -> int:
        """The host's TOD clock."""
        return self.hosts[0].stck()

    def vcpu(self, address: int) -> SieVcpu | None:
        """The CPU of an address, or None."""
        return self._vcpus[address] if 0 <= address < len(self._vcpus) else None

    def inject(self, event: FloatingEvent) -> None:
        """Make a floating interruption pending: any CPU that enables it may take it."""
        self.floating.inject(event)

    def _keep_warning(self, text: str) -> None:
        """A guest can bring about any number of warnings: each is kept once, and not too many."""
        if len(self.warnings) < MOST_WARNINGS and text not in self.warnings:
            self.warnings.append(text)

    def lend(self, purpose: str, size: int, alignment: int = PAGE_SIZE) -> int:
        """Host storage for a purpose that may come again and again: the same every time."""
        size = -(-size // PAGE_SIZE) * PAGE_SIZE
        origin, room = self._lent.get(purpose, (0, 0))
        if room < size:
            origin = self.hosts[0].storage.allocate(size, alignment)
            self._lent[purpose] = origin, size
        return origin

    def _purge(self) -> None:
        for host in self.hosts:
            host.ptlb()

    def export_page(self, address: int) -> None:
        """Have the Ultravisor give a protected guest's page back, encrypted."""
        host_address = self.gmap.host_address(address)
        if host_address is not None:
            ultravisor.convert_from_secure(self.hosts[0], host_address)

    def reset_subsystem(self) -> None:
        """Subsystem reset: floating interruptions and the channel subsystem."""
        self.floating.clear_all()
        if self.css_reset is not None:
            self.css_reset()
