"""Protected guests: their configuration and CPUs, which the Ultravisor owns.

The hypervisor donates storage, asks for the configuration to be made and unpacked, and from then
on knows of the guest's CPUs only what a format-4 state description shows.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.sie_controls import Iictl, SdFormat
from worldswitch.arch.s390x.translation import PAGE_SIZE
from worldswitch.arch.s390x.uv import (
    CreateConfiguration,
    CreateCpu,
    Initialize,
    NoData,
    QueryInformation,
    SetCpuState,
    SetParameters,
    Unpack,
    UvCommand,
    UvCpuState,
    UvReturn,
)
from worldswitch.hypervisor.sie import ultravisor
from worldswitch.hypervisor.sie.ultravisor import UltravisorError, call
from worldswitch.metal.interface import S390Host

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu
    from worldswitch.hypervisor.sie.vm import SieVm

MIB = 1 << 20


def donate(host: S390Host) -> QueryInformation:
    """Initialize the Ultravisor with the storage that it asks for; what it offers."""
    offered = ultravisor.query(host)
    length = offered.base_storage_length
    origin = host.storage.allocate(length, MIB) if length else 0

    def fill(block: Initialize) -> None:
        block.storage_origin, block.storage_length = origin, length

    try:
        call(host, UvCommand.INITIALIZE, Initialize, fill)
    except UltravisorError as error:
        if error.rc not in (UvReturn.INVALID_STATE, UvReturn.ALREADY_DONE):
            raise
    return offered


class ProtectedConfiguration:
    """A virtual machine in the care of the Ultravisor."""

    def __init__(self, vm: "SieVm", offered: QueryInformation) -> None:
        self.vm = vm
        self.host = vm.hosts[0]
        self.offered = offered
        if not vm.sca.extended:
            raise RuntimeError("a protected guest needs the extended system-control area")
        base = vm.lend("base", max(offered.configuration_base_length, PAGE_SIZE), MIB)
        megabytes = -(-vm.memory.size // MIB)
        variable = offered.configuration_virtual_length
        variable += offered.configuration_variable_length * megabytes
        virtual = vm.lend("virtual", max(variable, PAGE_SIZE))

        def fill(block: CreateConfiguration) -> None:
            block.base_storage_origin, block.virtual_storage_origin = base, virtual
            block.guest_storage_origin, block.guest_storage_length = 0, vm.memory.size
            block.guest_sca = vm.sca.origin
            block.guest_asce = vm.gmap.asce

        created = call(self.host, UvCommand.CREATE_CONFIGURATION, CreateConfiguration, fill)
        self.handle = created.handle
        self.cpu_handles: dict[int, int] = {}
        vm.protected = self
        vm.floating.hold_service_signals()
        for vcpu in vm.vcpus:
            self._create_cpu(vcpu)

    def _create_cpu(self, vcpu: "SieVcpu") -> None:
        number, length = vcpu.address, max(self.offered.cpu_storage_length, PAGE_SIZE)
        own = self.vm.lend(f"CPU {number}", length)
        sida = self.vm.lend(f"instruction data {number}", PAGE_SIZE)

        def fill(block: CreateCpu) -> None:
            block.configuration_handle = self.handle
            block.number = number
            block.storage_origin, block.state_origin = own, vcpu.sd_origin

        created = call(self.host, UvCommand.CREATE_CPU, CreateCpu, fill)
        self.cpu_handles[vcpu.address] = created.cpu_handle
        sd = vcpu.sd
        sd.pv_handle_cpu, sd.pv_handle_config = created.cpu_handle, self.handle
        sd.sdf = SdFormat.FORMAT_4
        sd.sidad = sida
        sd.iictl = Iictl.NONE
        vcpu.show_registers(protected=True)

    def set_parameters(self, header: bytes) -> None:
        """Give the Ultravisor the image's secure-execution header."""
        length = len(header)
        header_origin = self.vm.lend("header", length)
        self.host.storage.write(header_origin, header)

        def fill(block: SetParameters) -> None:
            block.configuration_handle = self.handle
            block.se_header_origin, block.se_header_length = header_origin, length

        call(self.host, UvCommand.SET_CONFIGURATION_PARAMETERS, SetParameters, fill)

    def unpack(self, address: int, size: int, tweak: int) -> None:
        """Decrypt an image in the guest's storage, page by page."""
        for offset in range(0, size, PAGE_SIZE):
            self.vm.gmap.resolve(address + offset, True)

            def fill(block: Unpack, offset: int = offset) -> None:
                block.configuration_handle = self.handle
                block.guest_address = address + offset
                block.tweak[0], block.tweak[1] = tweak, offset

            call(self.host, UvCommand.UNPACK_IMAGE, Unpack, fill)

    def verify(self) -> None:
        """Have the Ultravisor verify the image: the guest may be started then."""
        self._simple(UvCommand.VERIFY_IMAGE, self.handle)

    def _simple(self, command: UvCommand, handle: int) -> None:
        def fill(block: NoData) -> None:
            block.handle = handle

        call(self.host, command, NoData, fill)

    def set_cpu_state(self, vcpu: "SieVcpu", state: UvCpuState) -> None:
        """Start or stop a CPU."""

        def fill(block: SetCpuState) -> None:
            block.cpu_handle, block.state = self.cpu_handles[vcpu.address], int(state)

        call(self.host, UvCommand.SET_CPU_STATE, SetCpuState, fill)

    def make_secure(self, address: int) -> None:
        """Give the page at a guest absolute address to the guest."""
        self.vm.gmap.resolve(address, True)
        ultravisor.convert_to_secure(self.host, self.handle, address & -PAGE_SIZE)

    def prepare_reset(self) -> None:
        """Unshare all pages and prepare for a reset of the whole guest."""
        for command in (UvCommand.UNSHARE_ALL, UvCommand.PREPARE_RESET):
            self._simple(command, self.handle)

    def reset_cpu(self, vcpu: "SieVcpu", initial: bool) -> None:
        """CPU reset, or initial CPU reset."""
        command = UvCommand.CPU_INITIAL_RESET if initial else UvCommand.CPU_RESET
        self._simple(command, self.cpu_handles[vcpu.address])

    def destroy(self, pages: Iterable[int] = ()) -> None:
        """Give everything back: CPUs, pages (host addresses), configuration; the guest is plain
        again."""
        for vcpu in self.vm.vcpus:
            self._simple(UvCommand.DESTROY_CPU, self.cpu_handles.pop(vcpu.address))
            sd = vcpu.sd
            sd.pv_handle_cpu = sd.pv_handle_config = 0
            sd.sdf = SdFormat.FORMAT_2
            sd.sidad = 0
            sd.iictl = Iictl.NONE
            vcpu.show_registers(protected=False)
        for page in pages:
            ultravisor.convert_from_secure(self.host, page)
        self._simple(UvCommand.DESTROY_CONFIGURATION, self.handle)
        self.vm.floating.masked = 0
        self.vm.protected = None
