"""DIAGNOSE X'308' subcodes 8 to 10: a guest that asks to go on as a protected guest.

The guest has an encrypted image in its storage and says where; the machine has the Ultravisor
take it over. ref: DIAG 308
"""

from worldswitch.arch.s390x.diag import Diag308Response, Diag308Subcode
from worldswitch.arch.s390x.ipl import (
    KIND_PROTECTED,
    MOST_COMPONENTS,
    ImageComponent,
    ProtectedIplBlock,
)
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.uv import UvCpuState
from worldswitch.hypervisor.sie.guest_storage import OutsideStorageError
from worldswitch.hypervisor.sie.protected import ProtectedConfiguration, donate
from worldswitch.hypervisor.sie.ultravisor import UltravisorError
from worldswitch.hypervisor.sie.vm import SieVm
from worldswitch.machine.s390x.services import Asking
from worldswitch.metal.interface import SecureStorageAccess

PAGE = 4096
MOST_HEADER = 0x2000
SUBCODES = frozenset(
    {
        Diag308Subcode.SET_PROTECTED_PARAMETERS, Diag308Subcode.STORE_PROTECTED_PARAMETERS,
        Diag308Subcode.START_PROTECTED,
    }
)  # fmt: skip


class ProtectedIpl:
    """One guest's parameters for protected mode, and the way there."""

    def __init__(self, vm: SieVm) -> None:
        self.vm = vm
        self._parameters: bytes | None = None

    def diagnose(self, cpu: Asking, r1: int, subcode: int) -> None:
        """Carry out one of the subcodes; the response goes to the register behind R1."""
        address = cpu.gr[r1]
        if subcode != Diag308Subcode.START_PROTECTED and (r1 & 1 or address % PAGE):
            cpu.program(ProgramCode.SPECIFICATION)
            return
        try:
            match subcode:
                case Diag308Subcode.SET_PROTECTED_PARAMETERS:
                    response = self._set(address)
                case Diag308Subcode.STORE_PROTECTED_PARAMETERS:
                    response = self._store(address)
                case _:
                    response = self._start()
        except OutsideStorageError:
            cpu.program(ProgramCode.ADDRESSING)
            return
        if response is not None:
            cpu.gr[r1 | 1] = response

    def _set(self, address: int) -> int:
        memory = self.vm.memory
        block = ProtectedIplBlock(memory.read(address, ProtectedIplBlock.block_size))
        most = ProtectedIplBlock.block_size + MOST_COMPONENTS * ImageComponent.block_size
        size = ProtectedIplBlock.block_size + block.components * ImageComponent.block_size
        if block.kind != KIND_PROTECTED or not size <= block.length <= most:
            return Diag308Response.INVALID
        if not block.components or not 0 < block.header_length <= MOST_HEADER:
            return Diag308Response.INVALID
        self._parameters = memory.read(address, block.length)
        return Diag308Response.OK

    def _store(self, address: int) -> int:
        if self._parameters is None:
            return Diag308Response.NO_PROTECTED_CONFIGURATION
        self.vm.memory.write(address, self._parameters)
        return Diag308Response.OK

    def _start(self) -> int | None:
        """Go into protected mode; the response if that is not possible.

        The guest's first CPU goes on with the image's PSW, all others are stopped.
        """
        if self.vm.protected is not None or not self.vm.sca.extended:
            return Diag308Response.INVALID_FOR_PROTECTED
        if self._parameters is None:
            return Diag308Response.NO_PROTECTED_CONFIGURATION
        configuration = None
        try:
            configuration = ProtectedConfiguration(self.vm, donate(self.vm.hosts[0]))
            self._unpack(configuration, self._parameters)
        except (UltravisorError, OutsideStorageError, SecureStorageAccess) as error:
            self.vm.warn(f"no protected mode: {error}")
            if configuration is not None:
                configuration.destroy()
            return Diag308Response.INVALID_FOR_PROTECTED
        self.vm.reset_subsystem()
        self.vm.floating.hold_service_signals()
        for vcpu in self.vm.vcpus:
            vcpu.reset()
        first = self.vm.vcpus[0]
        configuration.set_cpu_state(first, UvCpuState.OPERATING_LOAD)
        first.operate()
        return None

    def _unpack(self, configuration: ProtectedConfiguration, parameters: bytes) -> None:
        memory = self.vm.memory
        block = ProtectedIplBlock(parameters)
        configuration.set_parameters(memory.read(block.header_address, block.header_length))
        for n in range(block.components):
            at = ProtectedIplBlock.block_size + n * ImageComponent.block_size
            part = ImageComponent(parameters[at : at + ImageComponent.block_size])
            configuration.unpack(part.address, part.size, part.tweak)
        configuration.verify()
