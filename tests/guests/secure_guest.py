"""A protected guest on a bare host, built by Ultravisor calls."""

import hashlib

from tests.guests.sie_guest import ORIGIN, PROGRAM, PSW_64, SIZE, SieGuest
from worldswitch.arch.control_block import ControlBlock
from worldswitch.arch.s390x.sie_controls import Ecb2, SdFormat
from worldswitch.arch.s390x.sie_satellites import ExtendedSca
from worldswitch.arch.s390x.uv import (
    BLOCKS,
    SE_HEADER_MAGIC,
    SecureExecutionHeader,
    UvCommand,
    UvCpuState,
)
from worldswitch.metal.s390x.secure_storage import crypt

KEY = bytes(range(32))
FRAME = 4096


class SecureGuest(SieGuest):
    """Its program is unpacked from an encrypted image; other pages are made secure by hand.

    scattered: page n of the guest is in the host frame of page n ^ 0x80, not in that of page n.
    """

    def __init__(self, text: str, engine: str = "native", scattered: bool = False) -> None:
        super().__init__(text, engine)
        self._moved = 0x8_0000 if scattered else 0
        self._uvcb = self.storage.allocate(4096)
        self.handle = self.cpu = 0
        self.asce = self._map()
        self.block.mso, self.block.msl = 0, SIZE - 1
        self.uvc(UvCommand.INITIALIZE)
        self.handle = self.uvc(
            UvCommand.CREATE_CONFIGURATION, guest_asce=self.asce, guest_storage_length=SIZE
        ).handle
        self._unpack()
        self._create_cpu()

    def host_address(self, address: int) -> int:
        """The host absolute address behind a guest absolute address."""
        return ORIGIN + (address ^ self._moved)

    def _map(self) -> int:
        """Host tables that put the guest's storage where `host_address` says; their ASCE."""
        pages = self.storage.allocate(4096)
        entries = (self.host_address(n * FRAME) for n in range(SIZE // FRAME))
        self.storage.write(pages, b"".join(entry.to_bytes(8, "big") for entry in entries))
        segments = self.storage.allocate(4096)
        invalid = (0x20).to_bytes(8, "big")
        self.storage.write(segments, pages.to_bytes(8, "big") + invalid * 511)
        self.host.cr[1] = segments
        return segments

    def asce_table(self) -> int:
        """The address of the page table behind the host's tables."""
        return int.from_bytes(self.storage.read(self.asce, 8), "big")

    def uvc(self, command: UvCommand, expect: int = 0, **fields: int) -> ControlBlock:
        """Issue an Ultravisor call; the control block as it stands afterwards."""
        kind = BLOCKS[command]
        block = kind(self.storage.view[self._uvcb : self._uvcb + kind.block_size])
        block.write(bytes(kind.block_size))
        block.header.length, block.header.command = kind.block_size, command
        for name, value in fields.items():
            setattr(block, name, value)
        assert self.host.uvc(self._uvcb) == expect, hex(block.header.rc)
        return block

    def _unpack(self) -> None:
        pages = {page: self.storage.read(ORIGIN + page, FRAME) for page in range(0, 0x4000, FRAME)}
        where = self.storage.allocate(4096)
        header = SecureExecutionHeader(
            self.storage.view[where : where + SecureExecutionHeader.block_size]
        )
        header.magic, header.version = SE_HEADER_MAGIC, 0x100
        header.length, header.pages = header.block_size, len(pages)
        header.key = KEY
        header.digest = hashlib.sha256(b"".join(pages.values())).digest()
        header.psw_mask, header.psw_addr = PSW_64, PROGRAM
        self.uvc(
            UvCommand.SET_CONFIGURATION_PARAMETERS,
            configuration_handle=self.handle,
            se_header_origin=where,
            se_header_length=header.block_size,
        )
        for page, text in pages.items():
            tweak = bytes(8) + page.to_bytes(8, "big")
            self.storage.write(self.host_address(page), crypt(text, KEY, tweak))
            block = BLOCKS[UvCommand.UNPACK_IMAGE]
            view = self.storage.view[self._uvcb : self._uvcb + block.block_size]
            unpack = block(view)
            unpack.write(bytes(block.block_size))
            unpack.header.length, unpack.header.command = block.block_size, UvCommand.UNPACK_IMAGE
            unpack.configuration_handle, unpack.guest_address = self.handle, page
            unpack.tweak[1] = page
            assert self.host.uvc(self._uvcb) == 0, hex(unpack.header.rc)
        self.uvc(UvCommand.VERIFY_IMAGE, handle=self.handle)

    def _create_cpu(self) -> None:
        self.cpu = self.uvc(
            UvCommand.CREATE_CPU,
            configuration_handle=self.handle,
            state_origin=self.addresses[0],
        ).cpu_handle
        sca = self.storage.allocate(ExtendedSca.block_size, 4096)
        block = self.block
        block.sdf, block.ecb2 = SdFormat.FORMAT_4, Ecb2.ESCA
        block.pv_handle_cpu, block.pv_handle_config = self.cpu, self.handle
        block.scaoh, block.scaol = sca >> 32, sca & 0xFFFF_FFFF
        block.sidad = self.storage.allocate(4096)
        self.uvc(UvCommand.SET_CPU_STATE, cpu_handle=self.cpu, state=UvCpuState.OPERATING_LOAD)

    def shown(self, register: int) -> int:
        """A general register as the host sees it with an intercepted instruction."""
        where = self.addresses[0] + 0x380 + 8 * register
        return int.from_bytes(self.storage.read(where, 8), "big")

    def sida(self, size: int) -> bytes:
        """The start of the secure instruction data area."""
        return self.storage.read(self.block.sidad & ~0xFFF, size)
