"""A program in assembly that is a hypervisor: it executes SIE until its guest is intercepted."""

from worldswitch.arch.s390x.sie_host import SieHost
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.machine.result import Result
from worldswitch.machine.s390x.bare import S390Machine
from worldswitch.metal.s390x.assembler import assemble

HOST = """
        larl  %r1, program_new
        mvc   0x1d0(16,%r0), 0(%r1)
        llilf %r14, 0x8000
        sie   0(%r14)
        llgc  %r6, 0x50(%r14)       # interception code
        llgh  %r7, 0x56(%r14)       # interception parameters: ipa and ipb
        llgf  %r8, 0x58(%r14)
        lg    %r9, 0xa0(%r14)       # guest general register 14
        larl  %r1, done
        lpswe 0(%r1)
failed: llgh  %r6, 0x8e(%r0)
        lghi  %r7, -1
        larl  %r1, done
        lpswe 0(%r1)
        .align 8
program_new: .quad 0x0000000180000000, failed
done:   .quad 0x0002000180000000, 0x600D
"""
PROGRAM = 0x4000
STATE_DESCRIPTION = 0x8000
GUEST = 0x100000
GUEST_SIZE = 0x100000
REAL_SPACE = 0x20
TABLE = 0x10000
LARGE, INVALID, EDAT = 0x400, 0x20, 1 << 23
PSW_64 = 0x0000_0001_8000_0000


class SieHostProgram:
    """The program above, and its guest of 1 MiB at 1 MiB."""

    def __init__(
        self, guest: str = "diag %r0, %r0, 0x44", engine: str = "native", memory: int = 8 << 20
    ) -> None:
        self.machine = S390Machine(memory, engine=engine)
        program = assemble(HOST, PROGRAM)
        self.machine.memory.write(program.origin, program.text)
        self.asce = REAL_SPACE
        text = assemble(guest, 0x1000)
        self.machine.memory.write(GUEST + text.origin, text.text)
        self.block = StateDescription(self.machine.memory.view, STATE_DESCRIPTION)
        block = self.block
        block.cpuflags, block.ihcpu = 0x800, 0xFFFF
        block.mso, block.msl = GUEST, GUEST + GUEST_SIZE - 1
        block.ckc, block.cputm = 2**64 - 1, 1 << 62
        block.gpsw_mask, block.gpsw_addr = PSW_64, 0x1000
        block.gcr[0], block.gcr[14] = 0xE0, 0xC200_0000

    def run(self, host: SieHost | None = None) -> Result:
        """Run it; `host` is what state descriptions are checked against, if not the modelled."""
        cpu = self.machine.processors[0]
        if host is not None:
            self.machine.sie_host = host
            cpu.raw.prefix = host.prefix
        cpu.raw.cr[1] = self.asce
        cpu.call("controls_changed")
        self.machine.start(PROGRAM)
        return self.machine.run(timeout=20)

    def map_host(self, present: int) -> None:
        """Give the host a segment table whose first entries map a MiB each, the others nothing."""
        entries = [n << 20 | LARGE if n < present else INVALID for n in range(512)]
        self.machine.memory.write(TABLE, b"".join(entry.to_bytes(8, "big") for entry in entries))
        cpu = self.machine.processors[0]
        cpu.raw.cr[0] |= EDAT
        self.asce = TABLE
        cpu.call("purge_all")

    @property
    def gr(self) -> list[int]:
        """The general registers at its end."""
        return list(self.machine.processors[0].gr)
