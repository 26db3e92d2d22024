"""DIAGNOSE X'308' as every machine answers it: a restart ends the run. ref: DIAG 308."""

from worldswitch.arch.s390x.diag import Diag308Response, Diag308Subcode
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.machine.s390x.board import RESTARTED, S390Board
from worldswitch.machine.s390x.services import Asking

PAGE_OFFSET = 0xFFF
RESTARTS = frozenset(
    {
        Diag308Subcode.MODIFIED_CLEAR, Diag308Subcode.LOAD_NORMAL_RESET,
        Diag308Subcode.LOAD_CLEAR, Diag308Subcode.LOAD_NORMAL_DUMP,
    }
)  # fmt: skip
RESPONSES: dict[int, Diag308Response] = {
    Diag308Subcode.SET_PARAMETERS: Diag308Response.OK,
    Diag308Subcode.STORE_PARAMETERS: Diag308Response.NO_CONFIGURATION,
}
"""To the subcodes about IPL parameters, of which a machine that ends with a restart keeps none."""


def diagnose(machine: S390Board, cpu: Asking, r1: int, subcode: int) -> None:
    """End the run, or leave a response in the register behind R1; or a program interruption."""
    if subcode in RESTARTS:
        machine.end(RESTARTED)
        return
    response = RESPONSES.get(subcode)
    if response is None or r1 & 1 or cpu.gr[r1] & PAGE_OFFSET:
        cpu.program(ProgramCode.SPECIFICATION)
    elif cpu.gr[r1] >= machine.memory.size:
        cpu.program(ProgramCode.ADDRESSING)
    else:
        cpu.gr[r1 + 1] = response
