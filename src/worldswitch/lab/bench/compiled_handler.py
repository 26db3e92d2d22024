"""The compiled handler of the world-switch row: a typed function, for native code to call."""

from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.engine import peek_u8, typed, u64
from worldswitch.metal.s390x.state import Cpu

ICPTCODE = StateDescription.offset_of("icptcode")
INSTRUCTION = int(Icpt.INST)


@typed
def handle(cpu: Cpu, block: u64) -> bool:
    """Read one register and write three, as the handler in Python does."""
    if peek_u8(block + ICPTCODE) != INSTRUCTION:
        return False
    value = (cpu.gr[1] + 1) & 0xFFFF
    cpu.gr[1] = value
    cpu.gr[2] = value
    cpu.gr[3] = value
    return True
