"""Every validity rule, reached by a program in assembly that executes SIE.

ref: SIE entry, validity.
"""

from dataclasses import replace

import pytest

from tests.guests.broken_blocks import (
    BARE,
    BROKEN,
    HOST,
    OUTSIDE_SMALL,
    SMALL,
    UNINSTALLED,
    minimal,
)
from tests.guests.sie_host import GUEST, SieHostProgram
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.arch.s390x.sie_host import VALIDITY_IPA, SieHost
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.machine.result import STATUS_CRASHED

SIZE = 512
DONE = 0x600D


def refused(block: StateDescription, host: SieHost) -> int:
    """Execute SIE with the block; the reason code of the validity interception."""
    program = SieHostProgram(engine="python")
    program.machine.memory.write(0x8000, bytes(block)[:SIZE])
    result = program.run(host)
    gr = program.gr
    assert result.status == STATUS_CRASHED and result.reason.endswith(f"{DONE:016X}"), result
    assert gr[6] == Icpt.VALIDITY
    assert gr[7] == VALIDITY_IPA
    return gr[8] >> 16


@pytest.mark.parametrize(("rule", "code", "make", "words"), BROKEN, ids=[row[0] for row in BROKEN])
def test_broken_rule_ends_sie_with_its_reason(
    rule: str, code: int, make: object, words: str
) -> None:
    del rule, words
    assert callable(make)
    assert refused(make(), HOST) == code


@pytest.mark.parametrize(
    ("rule", "field", "bit", "code"), UNINSTALLED, ids=[row[0] for row in UNINSTALLED]
)
def test_control_without_its_facility_ends_sie(rule: str, field: str, bit: int, code: int) -> None:
    del rule
    assert refused(minimal(**{field: bit}), replace(BARE, prefix=HOST.prefix)) == code


@pytest.mark.parametrize(
    ("rule", "code", "make"), OUTSIDE_SMALL, ids=[row[0] for row in OUTSIDE_SMALL]
)
def test_designation_outside_small_storage_ends_sie(rule: str, code: int, make: object) -> None:
    del rule
    assert callable(make)
    assert refused(make(), replace(SMALL, prefix=0)) == code


@pytest.mark.parametrize("engine", ["python", "native"])
def test_valid_block_enters_the_guest_of_a_program(engine: str) -> None:
    program = SieHostProgram("lghi %r14, 42\n diag %r1, %r2, 0x44", engine)
    result = program.run()
    gr = program.gr
    assert result.reason.endswith(f"{DONE:016X}"), result
    assert (gr[6], gr[7], gr[9]) == (Icpt.INST, 0x8312, 42)
    assert program.block.gpsw_addr == 0x1008
    assert gr[14] == 0x8000


@pytest.mark.parametrize("engine", ["python", "native"])
def test_segment_that_the_host_lacks_is_its_program_interruption(engine: str) -> None:
    guest = "llilh %r1, 0x30\n lg %r2, 0(%r1)\n diag %r1, %r2, 0x44"
    for present, seen in (
        (4, [ProgramCode.SEGMENT_TRANSLATION, 2**64 - 1]),
        (5, [Icpt.INST, 0x8312]),
    ):
        program = SieHostProgram(guest, engine)
        program.block.msl = GUEST + (64 << 20) - 1
        program.map_host(present)
        program.run()
        assert program.gr[6:8] == seen


def test_state_description_not_on_its_boundary_is_a_specification_exception() -> None:
    program = SieHostProgram()
    at = program.machine.memory.read(0x4000, 64).index(bytes.fromhex("b214e000"))
    program.machine.memory.write(0x4000 + at, bytes.fromhex("b214e008"))
    program.run()
    assert program.gr[6:8] == [6, 2**64 - 1]
