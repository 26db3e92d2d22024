"""A guest of SIE on a bare host: its program in assembly, its state description by name."""

from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.arch.s390x.sie_satellites import BasicSca
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.machine.s390x.modelled import modelled_cpu
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.s390x.assembler import assemble
from worldswitch.metal.s390x.host import Host
from worldswitch.metal.s390x.processor import Complex
from worldswitch.metal.s390x.storage import Storage

ORIGIN = 1 << 20
SIZE = 1 << 20
REAL_SPACE = 0x20
PSW_64 = 0x0000_0001_8000_0000
PROGRAM = 0x1000


class SieGuest:
    """One guest CPU with a megabyte of storage; `labels` are its program's addresses."""

    def __init__(
        self,
        text: str,
        engine: str = "native",
        cpus: int = 1,
        model: str = "z14",
        psw: int = PSW_64,
    ) -> None:
        self.storage = Storage(4 << 20)
        self.complex = Complex(self.storage, modelled_cpu("z14"), 1, engine)
        self.host = Host(self.complex.processors[0])
        self.host.cr[1] = REAL_SPACE
        self.host.time_slice = 20_000
        self.addresses = [self.storage.allocate(4096) for _ in range(cpus)]
        self.blocks = [StateDescription(self.storage.view[a : a + 512]) for a in self.addresses]
        self.block = self.blocks[0]
        for number, block in enumerate(self.blocks):
            block.cpuflags, block.ihcpu, block.icpua = 0x800, 0xFFFF, number
            block.mso, block.msl = ORIGIN, ORIGIN + SIZE - 1
            block.ckc, block.cputm = 2**64 - 1, 1 << 62
            block.gpsw_mask, block.gpsw_addr = psw, PROGRAM
            block.gcr[0], block.gcr[14] = 0xE0, 0xC200_0000
        program = assemble(text, PROGRAM)
        self.labels = program.labels
        self.write(PROGRAM, program.text)

    def add_sca(self) -> BasicSca:
        """Give all CPUs a basic system-control area."""
        where = self.storage.allocate(4096)
        area = BasicSca(self.storage.view[where : where + BasicSca.block_size])
        for number, block in enumerate(self.blocks):
            block.scaoh, block.scaol = where >> 32, where & 0xFFFF_FFFF
            area.mcn |= 1 << (63 - number)
            area.cpu[number].sda = self.addresses[number]
        return area

    def write(self, address: int, data: bytes) -> None:
        """Store into guest absolute storage."""
        self.storage.write(ORIGIN + address, data)

    def read(self, address: int, size: int) -> int:
        """A big-endian number from guest absolute storage."""
        return int.from_bytes(self.storage.read(ORIGIN + address, size), "big")

    def run(self, cpu: int = 0) -> Icpt:
        """Enter until the guest is left by an interception; its code."""
        result = self.host.sie(self.addresses[cpu])
        assert result is EntryResult.EXIT, result
        return Icpt(self.blocks[cpu].icptcode)
