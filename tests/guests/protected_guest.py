"""A guest that asks to go on as a protected guest: loader, encrypted image, header."""

import hashlib

from tests.guests.hypervisor_guest import PSW_64, HypervisorGuest
from worldswitch.arch.s390x.ipl import KIND_PROTECTED, ImageComponent, ProtectedIplBlock
from worldswitch.arch.s390x.uv import SE_HEADER_MAGIC, SecureExecutionHeader
from worldswitch.metal.s390x.assembler import assemble
from worldswitch.metal.s390x.secure_storage import crypt

PARAMETERS, HEADER, IMAGE = 0x8000, 0xA000, 0x1_0000
PAGE = 4096
KEY = bytes(range(32))
TWEAK = 0x1234_5678
LOADER = f"""
    llilf %r2, {PARAMETERS}
    lghi %r5, 8
    diag %r2, %r5, 0x308
    lgr %r6, %r3
    lghi %r5, 10
    diag %r2, %r5, 0x308
    diag %r0, %r0, 0xfff
"""
"""Ends itself only if it cannot go into protected mode; the responses are in registers 6 and 3."""


class ProtectedGuest(HypervisorGuest):
    """`text` is the image's program, assembled for IMAGE, where it starts."""

    def __init__(
        self, text: str, cpus: int = 1, *, enter: bool = True, loader: str = LOADER
    ) -> None:
        super().__init__(loader, cpus)
        self.image = assemble(text, IMAGE)
        data = self.image.text.ljust(-(-len(self.image.text) // PAGE) * PAGE, b"\0")
        for offset in range(0, len(data), PAGE):
            tweak = TWEAK.to_bytes(8, "big") + offset.to_bytes(8, "big")
            page = crypt(data[offset : offset + PAGE], KEY, tweak)
            self.vm.memory.write(IMAGE + offset, page)
        header = SecureExecutionHeader.new(
            magic=SE_HEADER_MAGIC,
            version=0x100,
            length=SecureExecutionHeader.block_size,
            pages=len(data) // PAGE,
            key=KEY,
            digest=hashlib.sha256(data).digest(),
            psw_mask=PSW_64,
            psw_addr=IMAGE,
        )
        self.vm.memory.write(HEADER, bytes(header))
        size = ProtectedIplBlock.block_size + ImageComponent.block_size
        block = ProtectedIplBlock.new(
            length=size,
            version=1,
            block_length=size - 8,
            kind=KIND_PROTECTED,
            components=1,
            header_address=HEADER,
            header_length=SecureExecutionHeader.block_size,
        )
        part = ImageComponent.new(tweak=TWEAK, address=IMAGE, size=len(data))
        self.vm.memory.write(PARAMETERS, bytes(block) + bytes(part))
        if enter:
            for _ in range(2):
                self.machine.answer(self.cpu, self.request())
            assert self.cpu.protected, self.vm.warnings
