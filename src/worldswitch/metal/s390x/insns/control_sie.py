"""START INTERPRETIVE EXECUTION, as a program executes it. ref: SIE entry."""

from worldswitch.engine import u64
from worldswitch.metal.s390x.dat import real_to_absolute
from worldswitch.metal.s390x.insn import ALWAYS, insn
from worldswitch.metal.s390x.insns.control_checks import addressing
from worldswitch.metal.s390x.leave import Exit, exit_to_machine, specification
from worldswitch.metal.s390x.state import Cpu

ALIGNED = 0x1FF
SIZE = 512


@insn("SIE", "B214", "S", ref="SIE entry", privileged=True, control=True, intercept=ALWAYS)
def sie(cpu: Cpu, addr2: u64) -> None:
    """Run the guest of the state description at a real address; ends with an interception.

    The entry checks are made outside; interpretation then begins in place of the next instruction.
    """
    if addr2 & ALIGNED != 0:
        specification(cpu)
    absolute = real_to_absolute(addr2, cpu.prefix)
    if absolute + SIZE > cpu.ram_size or absolute + SIZE < absolute:
        addressing(cpu)
    exit_to_machine(cpu, Exit.SIE, absolute, 0, 0, 0)
