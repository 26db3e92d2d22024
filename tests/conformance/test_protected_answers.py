"""Answers to a protected guest's instructions: where they go, and what a host cannot do with them.

ref: SIE protected guest; UV secure instruction data area.
"""

import pytest

from tests.guests.secure_guest import FRAME, SecureGuest
from tests.guests.sie_guest import ORIGIN, PROGRAM
from worldswitch.arch.s390x.facilities import Facility, facility_list
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt, Iictl
from worldswitch.arch.s390x.uv import UvCommand, UvReturn
from worldswitch.metal.interface import EntryResult

SHOW = "\n lg %r5, 0(%r1)\n diag %r5, %r5, 0x44"
STSI = f"""
    llilh %r0, 0x1000
    oill %r0, 1
    lghi %r1, 1
    llill %r2, 0x3000
    stsi 0(%r2)
    lgr %r1, %r2 {SHOW}
    .org 0x3000
    .quad 0
"""
STHYI = f"""
    lghi %r2, 0
    llill %r4, 0x3000
    sthyi %r2, %r4
    lgr %r1, %r4 {SHOW}
    .org 0x3000
    .quad 0
"""
ANSWER = 0x1122_3344_5566_7788
SERVC = """
    llilf %r1, 0x00020001
    llill %r2, SCCB
    servc %r1, %r2
    llill %r1, 0x2800
    lg %r5, 0(%r1)
    diag %r5, %r5, 0x44
    .org 0x2000
    .short 16, 0, 0, 0
    .quad 0
    .org 0x2800
    .quad 55
    .org 0x2ff8
    .short 16, 0, 0, 0
    .org 0x3000
    .quad 0
"""
NEW_PSW = "larl %r1, new\n mvc {where}(16,%r0), 0(%r1)\n j go\n .align 8\n"
NEW_PSW += (
    "new: .quad 0x180000000, there\n there: llgh %r5, {code}(%r0)\n diag %r5, %r5, 0x44\n go:"
)
CAUGHT = NEW_PSW.format(where="0x1d0", code="0x8e")


def fill_data_area(guest: SecureGuest, value: int = ANSWER) -> None:
    """The host's answer, and its condition code 0."""
    guest.storage.write(guest.block.sidad & ~0xFFF, value.to_bytes(8, "big") * (FRAME // 8))
    guest.block.gpsw_mask &= ~(3 << 44)


def informed(text: str) -> SecureGuest:
    """A guest that has STORE HYPERVISOR INFORMATION, on scattered frames."""
    guest = SecureGuest(text, scattered=True)
    words = facility_list(guest.host.facilities | {Facility.STORE_HYPERVISOR_INFORMATION})[:4]
    guest.block.fac = guest.storage.allocate(FRAME)
    guest.storage.write(guest.block.fac, b"".join(word.to_bytes(8, "big") for word in words))
    return guest


def make_secure(guest: SecureGuest, address: int) -> None:
    guest.uvc(UvCommand.CONVERT_TO_SECURE, configuration_handle=guest.handle, guest_address=address)


@pytest.mark.parametrize("text", [STSI, STHYI])
def test_page_of_information_reaches_a_guest_on_scattered_frames(text: str) -> None:
    guest = informed(text)
    assert guest.run() is Icpt.PV_INSTR
    fill_data_area(guest)
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(5) == ANSWER


@pytest.mark.parametrize("text", [STSI, STHYI])
def test_answer_does_not_reach_a_frame_that_the_host_took_meanwhile(text: str) -> None:
    guest = informed(text)
    assert guest.run() is Icpt.PV_INSTR
    frame = guest.host_address(0x3000)
    guest.uvc(UvCommand.CONVERT_FROM_SECURE, host_address=frame)
    taken = guest.storage.read(frame, FRAME)
    fill_data_area(guest)
    assert guest.host.sie(guest.addresses[0]) is EntryResult.HOST_FAULT
    assert guest.host.host_fault_code == ProgramCode.NON_SECURE_STORAGE_ACCESS
    assert guest.host.host_fault_address == 0x3000
    assert guest.storage.read(frame, FRAME) == taken
    make_secure(guest, 0x3000)
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(5) == ANSWER


def test_answer_to_a_service_call_ends_with_the_guests_block() -> None:
    guest = SecureGuest(SERVC.replace("SCCB", "0x2000"))
    assert guest.run() is Icpt.PV_INSTR
    fill_data_area(guest, 0x1000_0000_0000_0020)  # the host says that the block is a page long
    assert guest.run() is Icpt.PV_NOTIFY
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(5) == 55


def test_service_call_across_pages_is_specification_exception() -> None:
    guest = SecureGuest(CAUGHT + SERVC.replace("SCCB", "0x2ff8"))
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(5) == ProgramCode.SPECIFICATION


def test_service_call_outside_guest_storage_is_addressing_exception() -> None:
    text = CAUGHT + "llilf %r2, 0x100000\n servc %r1, %r2"
    guest = SecureGuest(text)
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(5) == ProgramCode.ADDRESSING


@pytest.mark.parametrize("instruction", ["servc %r1, %r2", "uvc %r0, %r2", "exrl %r0, call"])
def test_block_on_a_page_of_the_host_is_an_exception_of_the_host(instruction: str) -> None:
    text = f"llilf %r2, 0x9000\n {instruction}\n diag %r2, %r2, 0x44\n call: uvc %r0, %r2"
    guest = SecureGuest(text)
    assert guest.host.sie(guest.addresses[0]) is EntryResult.HOST_FAULT
    assert guest.host.host_fault_code == ProgramCode.NON_SECURE_STORAGE_ACCESS
    assert guest.host.host_fault_address == 0x9000
    make_secure(guest, 0x9000)
    assert guest.run() is Icpt.PV_INSTR
    assert guest.block.ipa == (0xB220 if "servc" in instruction else 0x8322)


def test_guest_in_protected_mode_has_no_guests_of_its_own() -> None:
    guest = SecureGuest(CAUGHT + "sie 0(%r0)")
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(5) == ProgramCode.OPERATION


def test_interruption_waits_for_a_secure_prefix_area() -> None:
    text = NEW_PSW.format(where="0x1b0", code="0x86") + "stosm 0x900(%r0), 1\n diag %r0, %r0, 0x44"
    guest = SecureGuest(text)
    assert guest.run() is Icpt.PV_INSTR
    guest.uvc(UvCommand.CONVERT_FROM_SECURE, host_address=ORIGIN)
    guest.block.iictl, guest.block.eic = Iictl.EXT, 0x2401
    assert guest.run() is Icpt.PV_PREF
    assert guest.block.iictl == Iictl.EXT
    make_secure(guest, 0)
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(5) == 0x2401


def test_diagnose_shows_and_returns_what_it_designates_alone() -> None:
    text = """
        lghi %r8, 8
        lghi %r11, 11
        lghi %r2, 2
        diag %r8, %r11, 0x308
        agr %r9, %r2
        diag %r9, %r9, 0x44
    """
    guest = SecureGuest(text)
    assert guest.run() is Icpt.PV_INSTR
    assert [guest.shown(n) for n in (2, 8, 9, 11)] == [0, 8, 0, 11]
    for n in (2, 9):
        where = guest.addresses[0] + 0x380 + 8 * n
        guest.storage.write(where, (0x100).to_bytes(8, "big"))
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(9) == 0x102


def test_host_cannot_plant_a_page_or_put_one_in_two_frames() -> None:
    guest = SecureGuest("llill %r1, 0x8000" + SHOW)
    frame = guest.host_address(0x8000)
    guest.storage.write(frame, ANSWER.to_bytes(8, "big"))
    make_secure(guest, 0x8000)
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(5) == 0
    entries = guest.asce_table()
    guest.storage.write(
        entries + PROGRAM // FRAME * 8, guest.host_address(0x9000).to_bytes(8, "big")
    )
    block = guest.uvc(
        UvCommand.CONVERT_TO_SECURE, 1, configuration_handle=guest.handle, guest_address=PROGRAM
    )
    assert block.header.rc == UvReturn.INVALID_ADDRESS
