"""The protected guest: made through the Ultravisor, and what the host sees of its exits.

ref: UV commands; SIE protected guest.
"""

import hashlib
from typing import Any

from worldswitch.arch.s390x.sie_controls import CpuStat, Ecb2, Ictl, Lctl, SdFormat
from worldswitch.arch.s390x.sie_satellites import ExtendedSca
from worldswitch.arch.s390x.state_description import SIZE, StateDescription
from worldswitch.arch.s390x.uv import (
    BLOCKS,
    SE_HEADER_MAGIC,
    SecureExecutionHeader,
    UvCommand,
    UvCpuState,
)
from worldswitch.lab.demo.s390x.stage import (
    ANY_HOST_CPU,
    CPU_TIMER,
    GUEST_SIZE,
    NO_CLOCK_COMPARATOR,
    PROGRAM,
    PROTECTED_GUEST,
    PSW_64,
    Stage,
    enter,
)
from worldswitch.lab.demo.s390x.tables import PAGE, HostTables
from worldswitch.lab.demo.switch import Switch
from worldswitch.lab.programs import source
from worldswitch.metal.interface import SecureStorageAccess
from worldswitch.metal.s390x.assembler import assemble
from worldswitch.metal.s390x.secure_storage import crypt

IMAGE_KEY = hashlib.sha256(b"the demonstration's image").digest()
IMAGE = (0, PAGE, PROGRAM)
"""The pages that the owner encrypted: the prefix area and the program."""
NEW_PREFIX = 0x4000
REGISTERS = 0x380
"""Offset from the state description of the registers that the host may see."""


class UltravisorError(Exception):
    """An Ultravisor call of the demonstration that did not succeed."""


class ProtectedGuest:
    """A guest whose storage and registers the host cannot read."""

    def __init__(self, stage: Stage) -> None:
        self._host = stage.host
        self._storage = stage.storage
        self._tables = HostTables(stage.host, PROTECTED_GUEST, GUEST_SIZE)
        self._control = self._storage.allocate(PAGE)
        self.where = self._storage.allocate(PAGE)
        self.block = StateDescription(self._storage.view[self.where : self.where + SIZE])
        self._digest = hashlib.sha256()
        self._load()
        self._make()

    def _call(self, command: UvCommand, **values: Any) -> Any:
        """The command's control block, as the Ultravisor leaves it until the next call."""
        kind = BLOCKS[command]
        self._storage.write(self._control, bytes(kind.block_size))
        block: Any = kind(self._storage.view[self._control : self._control + kind.block_size])
        block.header.length, block.header.command = kind.block_size, command
        for name, value in values.items():
            setattr(block, name, value)
        if self._host.uvc(self._control):
            raise UltravisorError(f"{command.name} ended with {block.header.rc:#x}")
        return block

    def _load(self) -> None:
        """What the guest's owner delivers: encrypted pages."""
        program = assemble(source("demo_protected"), PROGRAM)
        for page in IMAGE:
            text = program.text if page == PROGRAM else b""
            plain = text.ljust(PAGE, b"\0")
            self._digest.update(plain)
            tweak = page.to_bytes(16, "big")
            self._storage.write(PROTECTED_GUEST + page, crypt(plain, IMAGE_KEY, tweak))

    def _make(self) -> None:
        sca = self._storage.allocate(ExtendedSca.block_size)
        self._call(UvCommand.INITIALIZE)
        self._configuration = self._call(
            UvCommand.CREATE_CONFIGURATION,
            guest_storage_length=GUEST_SIZE,
            guest_sca=sca,
            guest_asce=self._tables.asce,
        ).handle
        cpu = self._call(
            UvCommand.CREATE_CPU,
            configuration_handle=self._configuration,
            state_origin=self.where,
        ).cpu_handle
        self._describe(cpu, sca)
        self._unpack()
        self._call(UvCommand.SET_CPU_STATE, cpu_handle=cpu, state=UvCpuState.OPERATING_LOAD)

    def _describe(self, cpu: int, sca: int) -> None:
        block = self.block
        block.cpuflags, block.ihcpu = CpuStat.ZARCH, ANY_HOST_CPU
        block.sdf, block.ecb2 = SdFormat.FORMAT_4, Ecb2.ESCA
        block.pv_handle_cpu, block.pv_handle_config = cpu, self._configuration
        block.scaoh, block.scaol = sca >> 32, sca & 0xFFFF_FFFF
        block.mso, block.msl = 0, GUEST_SIZE - 1
        block.ckc, block.cputm = NO_CLOCK_COMPARATOR, CPU_TIMER
        block.lctl, block.ictl = Lctl.CR6, Ictl.LPSW
        block.sidad = self._storage.allocate(PAGE)

    def _unpack(self) -> None:
        header = SecureExecutionHeader.new(
            magic=SE_HEADER_MAGIC,
            length=SecureExecutionHeader.block_size,
            pages=len(IMAGE),
            key=IMAGE_KEY,
            digest=self._digest.digest(),
            psw_mask=PSW_64,
            psw_addr=PROGRAM,
        )
        place = self._storage.allocate(PAGE)
        self._storage.write(place, bytes(header))
        self._call(
            UvCommand.SET_CONFIGURATION_PARAMETERS,
            configuration_handle=self._configuration,
            se_header_origin=place,
            se_header_length=header.block_size,
        )
        for page in IMAGE:
            self._call(
                UvCommand.UNPACK_IMAGE,
                configuration_handle=self._configuration,
                guest_address=page,
                tweak=[0, page],
            )
        self._call(UvCommand.VERIFY_IMAGE, handle=self._configuration)

    def register(self, number: int) -> int:
        """A general register as the host sees it beside the state description."""
        where = self.where + REGISTERS + 8 * number
        return int.from_bytes(self._storage.read(where, 8), "big")

    def _hidden(self) -> str:
        try:
            self._storage.read(PROTECTED_GUEST + PROGRAM, 8)
        except SecureStorageAccess as error:
            return f"{error}"
        return "its storage is readable"

    def play(self) -> list[Switch]:
        """Run the guest's program from exit to exit."""
        self._host.cr[1] = self._tables.asce
        switches = [
            self._enter(
                "DIAGNOSE 0x500 in a protected guest",
                "Answers with the few registers that the Ultravisor shows it.",
                (self._hidden(),),
            ),
            self._enter(
                "LOAD CONTROL of register 6 in a protected guest",
                "Had asked with LCTL to know: injects the I/O interruption that is pending.",
            ),
            self._enter(
                "LOAD PSW that enables machine checks in a protected guest",
                "Had asked with ICTL to know: injects the machine check that is pending.",
            ),
            self._enter(
                "SET PREFIX in a protected guest",
                "Notes the new prefix; the Ultravisor has carried out the instruction.",
            ),
            self._enter(
                "nothing: its prefix area is not secure",
                "Has the Ultravisor make the two pages secure, and enters again.",
            ),
        ]
        for page in (NEW_PREFIX, NEW_PREFIX + PAGE):
            self._call(
                UvCommand.CONVERT_TO_SECURE,
                configuration_handle=self._configuration,
                guest_address=page,
            )
        switches.append(
            self._enter(
                "DIAGNOSE 0x44 in a protected guest",
                "Lets another CPU run: the guest is spinning.",
            )
        )
        return switches

    def _enter(self, did: str, answer: str, extra: tuple[str, ...] = ()) -> Switch:
        return enter(self._host, self.block, self.where, (did, answer, extra))
