"""The length of an intercepted instruction. ref: SIE icptstatus."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import PROGRAM, HypervisorGuest, plant
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt, IcptStatus


@covers("length/instruction")
@pytest.mark.parametrize(("text", "length"), [("sckpf", 2), ("stap 1(%r0)", 4)])
def test_suppressed_instruction_leaves_old_psw_behind_it(text: str, length: int) -> None:
    guest = HypervisorGuest(f"llilf %r0, 0x10000\n {text}\n diag %r0, %r0, 0xfff")
    assert guest.trap() == ProgramCode.SPECIFICATION
    assert guest.load(0x8C, 2) == length
    assert guest.load(0x158) == PROGRAM + 6 + length


@covers("length/execute")
def test_executed_instruction_has_length_of_execute() -> None:
    guest = HypervisorGuest("exrl %r0, target\n nop: j nop\n target: stap 1(%r0)")
    assert guest.trap() == ProgramCode.SPECIFICATION
    assert guest.load(0x8C, 2) == 6
    assert guest.load(0x158) == PROGRAM + 6


@covers("length/execute")
def test_executed_instruction_by_short_execute_has_four_bytes() -> None:
    guest = HypervisorGuest("larl %r1, target\n ex %r0, 0(%r1)\n nop: j nop\n target: stap 1(%r0)")
    assert guest.trap() == ProgramCode.SPECIFICATION
    assert guest.load(0x8C, 2) == 4


@covers("length/execute-default")
def test_execute_without_length_counts_as_four_bytes() -> None:
    guest = HypervisorGuest("exrl %r0, target\n nop: j nop\n target: stap 1(%r0)")
    plant(guest, Icpt.INST, icptstatus=IcptStatus.EXECUTE)
    assert guest.trap() == ProgramCode.SPECIFICATION
    assert guest.load(0x8C, 2) == 4


@covers("length/program")
def test_program_interception_has_its_own_length() -> None:
    guest = HypervisorGuest("llihl %r1, 1\n lg %r2, 0(%r1)")
    assert guest.trap() == ProgramCode.ADDRESSING
    assert guest.load(0x8C, 2) == 6
    assert guest.load(0x158) == PROGRAM + 10
