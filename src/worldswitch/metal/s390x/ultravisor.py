"""The Ultravisor: firmware that owns protected guests. Ultravisor calls of the hypervisor.

ref: UV commands. What happens at the entry to and exit from a protected guest is in
secure_cpu.py.
"""

import ctypes
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from worldswitch.arch.control_block import ControlBlock
from worldswitch.arch.s390x.translation import Asce
from worldswitch.arch.s390x.uv import (
    BLOCKS,
    GUEST_COMMANDS,
    INSTALLED_BIT,
    SE_HEADER_MAGIC,
    SecureExecutionHeader,
    UvCommand,
    UvCondition,
    UvCpuState,
    UvHeader,
    UvReturn,
)
from worldswitch.metal.s390x.processor import AFP_RESET_CR0, CR14_RESET, Complex
from worldswitch.metal.s390x.secure_storage import FRAME, SecureStorage, crypt
from worldswitch.metal.s390x.sie.secure import SecureState

MAX_CONFIGURATIONS = 64
MAX_CPUS = 248
BASE_LENGTH = 0x1000
HANDLE_CPU = 0x10000
"""CPU handles start here, configurations' handles at 1, so that neither passes for the other."""


class UvError(Exception):
    """A command that ends with a return code other than EXECUTED."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Ultravisor return code {code:#x}")
        self.code = code


@dataclass
class SecureCpu:
    """One CPU of a protected guest."""

    handle: int
    configuration: "Configuration"
    number: int
    state_description: int
    memory: ctypes.Array[ctypes.c_char]
    state: int = UvCpuState.STOPPED
    outstanding: "Callable[[], int | None] | None" = None
    """What completes the intercepted instruction when the guest is entered again."""

    @property
    def address(self) -> int:
        """Where its SecureState lies in this process."""
        return ctypes.addressof(self.memory)


@dataclass
class Configuration:
    """A protected guest."""

    handle: int
    asce: int
    length: int
    cpus: dict[int, SecureCpu] = field(default_factory=dict[int, SecureCpu])
    frames: dict[int, int] = field(default_factory=dict[int, int])
    """Host frame of each guest frame that is secure."""
    exported: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """Digest of each guest frame that was given back to the host encrypted."""
    pinned: set[int] = field(default_factory=set[int])
    header: SecureExecutionHeader | None = None
    unpacked: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    verified: bool = False

    @property
    def key(self) -> bytes:
        """The key of pages that are given back to the host."""
        return hashlib.sha256(b"configuration" + self.handle.to_bytes(8, "big")).digest()


class Ultravisor:
    """One Ultravisor for the processors of a complex."""

    def __init__(self, complex: Complex) -> None:
        self.complex = complex
        self.storage = complex.storage
        self.secure: SecureStorage | None = None
        self.configurations: dict[int, Configuration] = {}
        self.cpus: dict[int, SecureCpu] = {}
        self._next = 1
        self._handlers: dict[int, Callable[[ControlBlock], None]] = {
            UvCommand.QUERY: self._query,
            UvCommand.INITIALIZE: self._initialize,
            UvCommand.CREATE_CONFIGURATION: self._create_configuration,
            UvCommand.DESTROY_CONFIGURATION: self._destroy_configuration,
            UvCommand.CREATE_CPU: self._create_cpu,
            UvCommand.DESTROY_CPU: self._destroy_cpu,
            UvCommand.CONVERT_TO_SECURE: self._convert_to_secure,
            UvCommand.CONVERT_FROM_SECURE: self._convert_from_secure,
            UvCommand.DESTROY_SECURE_STORAGE: self._destroy_page,
            UvCommand.SET_CONFIGURATION_PARAMETERS: self._set_parameters,
            UvCommand.UNPACK_IMAGE: self._unpack,
            UvCommand.VERIFY_IMAGE: self._verify,
            UvCommand.CPU_RESET: self._cpu_reset,
            UvCommand.CPU_INITIAL_RESET: self._cpu_initial_reset,
            UvCommand.CPU_CLEAR_RESET: self._cpu_clear_reset,
            UvCommand.PREPARE_RESET: self._prepare_reset,
            UvCommand.SET_CPU_STATE: self._set_cpu_state,
            UvCommand.UNSHARE_ALL: self._unshare_all,
            UvCommand.PIN_SHARED: self._pin_shared,
            UvCommand.UNPIN_SHARED: self._unpin_shared,
        }

    @property
    def frames(self) -> SecureStorage:
        """The owners of frames; UvError before INITIALIZE."""
        if self.secure is None:
            raise UvError(UvReturn.INVALID_STATE)
        return self.secure

    def call(self, where: int) -> int:
        """Carry out the command of the control block at an absolute address; condition code."""
        self.storage.read(where, UvHeader.block_size)
        header = UvHeader(self.storage.view[where : where + UvHeader.block_size])
        handler = self._handlers.get(header.command)
        if handler is None or header.command in GUEST_COMMANDS:
            header.rc = UvReturn.INVALID_COMMAND
            return UvCondition.ERROR
        block = BLOCKS[UvCommand(header.command)]
        if header.length < block.block_size:
            header.rc = UvReturn.INVALID_LENGTH
            return UvCondition.ERROR
        self.storage.read(where, block.block_size)
        try:
            handler(block(self.storage.view[where : where + block.block_size]))
        except UvError as error:
            header.rc = error.code
            return UvCondition.ERROR
        header.rc = UvReturn.EXECUTED
        return UvCondition.OK

    # The commands. `b` is the command's control block.

    def _query(self, b: ControlBlock) -> None:
        for command in self._handlers:
            bit = INSTALLED_BIT[UvCommand(command)]
            b.installed_calls[bit // 64] |= 1 << (63 - bit % 64)
        b.base_storage_length = 0
        b.configuration_base_length = BASE_LENGTH
        b.configuration_virtual_length = BASE_LENGTH
        b.configuration_variable_length = 0
        b.cpu_storage_length = BASE_LENGTH
        b.max_configurations = MAX_CONFIGURATIONS
        b.max_guest_address = self.storage.size
        b.max_cpu_id = MAX_CPUS - 1

    def _initialize(self, b: ControlBlock) -> None:
        if self.secure is not None:
            raise UvError(UvReturn.ALREADY_DONE)
        self.secure = SecureStorage(self.complex)

    def _configuration(self, handle: int) -> Configuration:
        found = self.configurations.get(handle)
        if found is None:
            raise UvError(UvReturn.INVALID_CONFIGURATION_HANDLE)
        return found

    def _cpu(self, handle: int) -> SecureCpu:
        found = self.cpus.get(handle)
        if found is None:
            raise UvError(UvReturn.INVALID_CPU_HANDLE)
        return found

    def _create_configuration(self, b: ControlBlock) -> None:
        assert self.frames is self.secure
        if len(self.configurations) == MAX_CONFIGURATIONS:
            raise UvError(UvReturn.INVALID_STATE)
        handle = self._next
        self._next += 1
        self.configurations[handle] = Configuration(handle, b.guest_asce, b.guest_storage_length)
        b.handle = handle

    def _destroy_configuration(self, b: ControlBlock) -> None:
        configuration = self._configuration(b.handle)
        for frame in list(configuration.frames.values()):
            self._clear(configuration, frame)
        for cpu in list(configuration.cpus.values()):
            del self.cpus[cpu.handle]
        del self.configurations[b.handle]

    def _create_cpu(self, b: ControlBlock) -> None:
        configuration = self._configuration(b.configuration_handle)
        if b.number >= MAX_CPUS or b.number in configuration.cpus:
            raise UvError(UvReturn.INVALID_STATE)
        handle = HANDLE_CPU + self._next
        self._next += 1
        memory = ctypes.create_string_buffer(SecureState.size + 16)
        cpu = SecureCpu(handle, configuration, b.number, b.state_origin, memory)
        configuration.cpus[b.number] = self.cpus[handle] = cpu
        self._reset(cpu, initial=True)
        b.cpu_handle = handle

    def _destroy_cpu(self, b: ControlBlock) -> None:
        cpu = self._cpu(b.handle)
        del self.cpus[cpu.handle], cpu.configuration.cpus[cpu.number]

    def host_frame(self, configuration: Configuration, guest_address: int) -> int:
        """The host frame behind a guest absolute address, by the host's own tables."""
        address = self._walk(configuration.asce, guest_address)
        if address is None or address >= self.storage.size:
            raise UvError(UvReturn.INVALID_ADDRESS)
        return address // FRAME

    def _walk(self, asce: int, address: int) -> int | None:
        """Host absolute address of a host virtual one, or None."""
        processor = self.complex.processors[0]
        if asce & Asce.REAL_SPACE:
            return address
        processor.call("translate_host", asce, address)
        return processor.raw.exit_args[1] if processor.raw.exit_args[0] == 0 else None

    def _convert_to_secure(self, b: ControlBlock) -> None:
        configuration = self._configuration(b.configuration_handle)
        guest = b.guest_address // FRAME
        frame = self.host_frame(configuration, b.guest_address)
        owner = self.frames.owner(frame)
        if owner == configuration.handle and not self.frames.is_shared(frame):
            return
        if owner and owner != configuration.handle:
            raise UvError(UvReturn.INVALID_ADDRESS)
        if guest in configuration.pinned:
            raise UvError(UvReturn.PAGE_BUSY)
        if configuration.frames.get(guest, frame) != frame:
            # The host maps the page to a second frame: the guest would lose what is in the first.
            raise UvError(UvReturn.INVALID_ADDRESS)
        digest = configuration.exported.pop(guest, None)
        if digest is not None:
            page = bytes(self.storage.view[frame * FRAME : (frame + 1) * FRAME])
            page = crypt(page, configuration.key, guest.to_bytes(8, "big"))
            if hashlib.sha256(page).digest() != digest:
                configuration.exported[guest] = digest
                raise UvError(UvReturn.INVALID_STATE)
            self.storage.put(frame * FRAME, page)
        elif not owner:
            # A page that the guest never had begins as zeros: the host cannot plant anything.
            self.storage.put(frame * FRAME, bytes(FRAME))
        self.frames.set(frame, configuration.handle, guest)
        configuration.frames[guest] = frame

    def _owned(self, address: int) -> tuple[Configuration, int]:
        frame = address // FRAME
        if address < 0 or address >= self.storage.size:
            raise UvError(UvReturn.INVALID_ADDRESS)
        configuration = self.configurations.get(self.frames.owner(frame))
        if configuration is None:
            raise UvError(UvReturn.PAGE_NOT_SECURE)
        return configuration, frame

    def _convert_from_secure(self, b: ControlBlock) -> None:
        configuration, frame = self._owned(b.host_address)
        guest = self.frames.guest_frame(frame)
        page = bytes(self.storage.view[frame * FRAME : (frame + 1) * FRAME])
        configuration.exported[guest] = hashlib.sha256(page).digest()
        page = crypt(page, configuration.key, guest.to_bytes(8, "big"))
        self.storage.put(frame * FRAME, page)
        self._release(configuration, frame)

    def _release(self, configuration: Configuration, frame: int) -> None:
        guest = self.frames.guest_frame(frame)
        self.frames.set(frame, 0, 0)
        configuration.frames.pop(guest, None)
        configuration.pinned.discard(guest)

    def _clear(self, configuration: Configuration, frame: int) -> None:
        self.storage.put(frame * FRAME, bytes(FRAME))
        self._release(configuration, frame)

    def _destroy_page(self, b: ControlBlock) -> None:
        self._clear(*self._owned(b.host_address))

    def _set_parameters(self, b: ControlBlock) -> None:
        configuration = self._configuration(b.configuration_handle)
        size = SecureExecutionHeader.block_size
        if b.se_header_length < size or b.se_header_origin + size > self.storage.size:
            raise UvError(UvReturn.INVALID_ADDRESS)
        header = SecureExecutionHeader(bytearray(self.storage.read(b.se_header_origin, size)))
        if header.magic != SE_HEADER_MAGIC:
            raise UvError(UvReturn.INVALID_STATE)
        configuration.header = header

    def _unpack(self, b: ControlBlock) -> None:
        configuration = self._configuration(b.configuration_handle)
        if configuration.header is None or configuration.verified:
            raise UvError(UvReturn.INVALID_STATE)
        frame = self.host_frame(configuration, b.guest_address)
        if self.frames.owner(frame) or b.guest_address // FRAME in configuration.frames:
            raise UvError(UvReturn.INVALID_ADDRESS)
        page = bytes(self.storage.view[frame * FRAME : (frame + 1) * FRAME])
        tweak = b.tweak[0].to_bytes(8, "big") + b.tweak[1].to_bytes(8, "big")
        page = crypt(page, configuration.header.key, tweak)
        configuration.digest.update(page)
        configuration.unpacked += 1
        self.storage.put(frame * FRAME, page)
        self.frames.set(frame, configuration.handle, b.guest_address // FRAME)
        configuration.frames[b.guest_address // FRAME] = frame

    def _verify(self, b: ControlBlock) -> None:
        configuration = self._configuration(b.handle)
        header = configuration.header
        if header is None or configuration.unpacked != header.pages:
            raise UvError(UvReturn.INVALID_STATE)
        if configuration.digest.digest() != header.digest:
            raise UvError(UvReturn.INVALID_STATE)
        configuration.verified = True

    def _reset(self, cpu: SecureCpu, initial: bool) -> None:
        state = SecureState.raw_at(cpu.address)
        cpu.outstanding = None
        cpu.state = UvCpuState.STOPPED
        if not initial:
            return
        ctypes.memset(cpu.address, 0, SecureState.size)
        state.configuration = cpu.configuration.handle
        state.cr[0], state.cr[14] = AFP_RESET_CR0, CR14_RESET
        state.clock_comparator = 0xFFFF_FFFF_FFFF_FFFF
        state.cpu_timer = 0x7FFF_FFFF_FFFF_FFFF
        state.breaking = 1

    def _cpu_reset(self, b: ControlBlock) -> None:
        self._reset(self._cpu(b.handle), initial=False)

    def _cpu_initial_reset(self, b: ControlBlock) -> None:
        self._reset(self._cpu(b.handle), initial=True)

    def _cpu_clear_reset(self, b: ControlBlock) -> None:
        self._reset(self._cpu(b.handle), initial=True)

    def _prepare_reset(self, b: ControlBlock) -> None:
        for cpu in self._configuration(b.handle).cpus.values():
            self._reset(cpu, initial=True)

    def _set_cpu_state(self, b: ControlBlock) -> None:
        cpu = self._cpu(b.cpu_handle)
        if b.state not in tuple(UvCpuState) or not cpu.configuration.verified:
            raise UvError(UvReturn.INVALID_STATE)
        cpu.state = UvCpuState(b.state)
        header = cpu.configuration.header
        if cpu.state is UvCpuState.OPERATING_LOAD and header is not None:
            state = SecureState.raw_at(cpu.address)
            state.psw_mask, state.psw_addr = header.psw_mask, header.psw_addr
            cpu.state = UvCpuState.OPERATING

    def _unshare_all(self, b: ControlBlock) -> None:
        configuration = self._configuration(b.handle)
        if configuration.pinned:
            raise UvError(UvReturn.PAGE_BUSY)
        for guest, frame in configuration.frames.items():
            self.frames.set(frame, configuration.handle, guest)

    def _pin_shared(self, b: ControlBlock) -> None:
        configuration, frame = self._owned(b.host_address)
        if not self.frames.is_shared(frame):
            raise UvError(UvReturn.INVALID_STATE)
        configuration.pinned.add(self.frames.guest_frame(frame))

    def _unpin_shared(self, b: ControlBlock) -> None:
        configuration = self._configuration(b.configuration_handle)
        configuration.pinned.discard(b.guest_address // FRAME)

    # What protected guests ask for, and what entry needs.

    def share(self, configuration: Configuration, guest_address: int, shared: bool) -> int:
        """SHARE and UNSHARE of a guest; the return code."""
        guest = guest_address // FRAME
        frame = configuration.frames.get(guest)
        if frame is None:
            return UvReturn.INVALID_ADDRESS
        if not shared and guest in configuration.pinned:
            return UvReturn.PAGE_BUSY
        self.frames.set(frame, configuration.handle, guest, shared)
        return UvReturn.EXECUTED


def ultravisor_of(complex: Complex) -> Ultravisor:
    """The Ultravisor that the processors of a complex share, made when it is first asked for."""
    if complex.ultravisor is None:
        complex.ultravisor = Ultravisor(complex)
    found = complex.ultravisor
    assert isinstance(found, Ultravisor)
    return found
