"""A bare host with one processor and a guest of one megabyte, prepared anew for each scene."""

from worldswitch.arch.s390x.sie_controls import CpuStat, Icpt
from worldswitch.arch.s390x.state_description import SIZE, StateDescription
from worldswitch.engine.build import Progress
from worldswitch.lab.demo.s390x.fields import field_texts
from worldswitch.lab.demo.s390x.tables import MEGABYTE, PAGE, HostTables
from worldswitch.lab.demo.switch import Switch
from worldswitch.lab.programs import source
from worldswitch.machine.s390x.modelled import DEFAULT_MODEL, modelled_cpu
from worldswitch.metal.host import TIME_SLICE
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.s390x.assembler import assemble
from worldswitch.metal.s390x.host import Host
from worldswitch.metal.s390x.processor import AFP_RESET_CR0, CR14_RESET, Complex
from worldswitch.metal.s390x.storage import Storage

STORAGE = 8 * MEGABYTE
GUEST = MEGABYTE
PROTECTED_GUEST = 2 * MEGABYTE
GUEST_SIZE = MEGABYTE
PROGRAM = 0x2000
PSW_64 = 0x0000_0001_8000_0000
PSW_PER = 1 << 62
NO_CLOCK_COMPARATOR = 2**64 - 1
CPU_TIMER = 1 << 62
ANY_HOST_CPU = 0xFFFF


class Stage:
    """`block`: the guest's state description, a view of host storage at `where`."""

    def __init__(self, engine: str = "native", progress: Progress | None = None) -> None:
        self.storage = Storage(STORAGE)
        complex = Complex(self.storage, modelled_cpu(DEFAULT_MODEL), 1, engine, progress)
        self.host = Host(complex.processors[0])
        self.tables = HostTables(self.host, GUEST, GUEST_SIZE)
        self.where = self.storage.allocate(PAGE)
        self.block = StateDescription(self.storage.view[self.where : self.where + SIZE])
        program = assemble(source("demo"), PROGRAM)
        self.labels = program.labels
        self.storage.write(GUEST + PROGRAM, program.text)

    def prepare(self, label: str) -> StateDescription:
        """A fresh state description, about to execute at a label of the program."""
        block = self.block
        block.write(bytes(SIZE))
        block.cpuflags, block.ihcpu = CpuStat.ZARCH, ANY_HOST_CPU
        block.mso, block.msl = 0, GUEST_SIZE - 1
        block.ckc, block.cputm = NO_CLOCK_COMPARATOR, CPU_TIMER
        block.gpsw_mask, block.gpsw_addr = PSW_64, self.labels[label]
        block.gcr[0], block.gcr[14] = AFP_RESET_CR0, CR14_RESET
        self.tables.map(self.labels["absent"])
        self.host.cr[1] = self.tables.asce
        self.host.time_slice = TIME_SLICE
        return block

    def enter(self, did: str, answer: str, extra: tuple[str, ...] = ()) -> Switch:
        """Issue SIE, and note how it ended."""
        return enter(self.host, self.block, self.where, (did, answer, extra))


def enter(
    host: Host, block: StateDescription, where: int, texts: tuple[str, str, tuple[str, ...]]
) -> Switch:
    """Issue SIE with a state description at `where`; texts: what the guest did, answer, extra."""
    did, answer, extra = texts
    result = host.sie(where)
    details = field_texts(block, result)
    if result is EntryResult.HOST_FAULT:
        access = "store" if host.host_fault_store else "fetch"
        address = f"{access} at {host.host_fault_address:X}"
        details = (f"host program code {host.host_fault_code:04X}", address, *details)
    code = Icpt(block.icptcode) if result is EntryResult.EXIT else Icpt.NONE
    name = f"{code.name} {code:02X}"
    return Switch(result, code, name, did, (*extra, *details), answer, bytes(block))
