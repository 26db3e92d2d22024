"""Protected guests on the metal: what the host cannot see, and how instructions reach it.

ref: SIE protected guest; UV commands.
"""

import pytest

from tests.guests.secure_guest import SecureGuest
from tests.guests.sie_guest import ORIGIN, PROGRAM
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.psw import PswMask
from worldswitch.arch.s390x.sie_controls import Icpt, Ictl, Iictl, Lctl
from worldswitch.arch.s390x.uv import UvCommand, UvReturn
from worldswitch.metal.interface import EntryResult, SecureStorageAccess

engines = pytest.mark.parametrize("engine", ["python", "native"])
SECRET = "larl %r1, secret\n lg %r6, 0(%r1)\n diag %r2, %r3, 0x500\n .align 8\nsecret: .quad 77"


@engines
def test_host_read_of_guest_page_fails(engine: str) -> None:
    guest = SecureGuest(SECRET, engine)
    with pytest.raises(SecureStorageAccess):
        guest.storage.read(ORIGIN + PROGRAM, 8)
    with pytest.raises(SecureStorageAccess):
        guest.storage.write(ORIGIN + PROGRAM, bytes(8))


@engines
def test_instruction_shows_only_registers_it_needs(engine: str) -> None:
    text = "lghi %r2, 3\n lghi %r9, 99\n sigp %r2, %r4, 1(%r0)\n diag %r0, %r0, 0x44"
    guest = SecureGuest(text, engine)
    guest.host.gr[9] = 5
    assert guest.run() is Icpt.PV_INSTR
    assert guest.block.ipa == 0xAE24
    assert guest.shown(2) == 3
    assert guest.shown(9) == 0
    assert guest.host.gr[9] == 5
    assert guest.block.gpsw_addr == 0


@engines
def test_answer_goes_back_with_condition_code(engine: str) -> None:
    text = """
        lghi %r2, 3
        sigp %r2, %r4, 1(%r0)
        ipm %r3
        larl %r5, place
        stg %r2, 0(%r5)
        st %r3, 8(%r5)
        diag %r3, %r2, 0x44
        .align 8
        place: .space 16
    """
    guest = SecureGuest(text, engine)
    assert guest.run() is Icpt.PV_INSTR
    where = guest.addresses[0] + 0x380 + 16
    guest.storage.write(where, (0x40).to_bytes(8, "big"))
    guest.block.gpsw_mask |= 1 << 44
    assert guest.run() is Icpt.PV_INSTR
    assert guest.block.ipa == 0x8332
    assert guest.shown(2) == 0x40
    assert guest.shown(3) >> 28 & 3 == 1


@engines
def test_service_call_passes_block_through_instruction_data_and_notifies(engine: str) -> None:
    text = """
        llilf %r1, 0x00020001
        larl %r2, sccb
        servc %r1, %r2
        lh %r7, 6(%r2)
        diag %r7, %r7, 0x44
        .org 0x2000
        sccb: .short 16, 0, 0, 0
        .quad 0x1122334455667788
    """
    guest = SecureGuest(text, engine)
    assert guest.run() is Icpt.PV_INSTR
    assert guest.block.ipa == 0xB220
    assert guest.sida(16)[8:] == bytes.fromhex("1122334455667788")
    guest.storage.write(guest.block.sidad & ~0xFFF, bytes.fromhex("0010000000000020"))
    assert guest.run() is Icpt.PV_NOTIFY
    assert guest.block.ipa == 0xB220
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(7) == 0x20


@engines
def test_set_prefix_is_notified_with_prefix(engine: str) -> None:
    text = "larl %r1, new\n spx 0(%r1)\n .align 4\n new: .long 0x2000"
    guest = SecureGuest(text, engine)
    assert guest.run() is Icpt.PV_NOTIFY
    assert guest.block.ipa == 0xB210
    assert int.from_bytes(guest.sida(4), "big") == 0x2000


@engines
def test_prefix_that_is_not_secure_is_intercepted(engine: str) -> None:
    guest = SecureGuest("loop: j loop", engine)
    guest.host.time_slice = 1000
    guest.uvc(UvCommand.CONVERT_FROM_SECURE, host_address=ORIGIN)
    assert guest.run() is Icpt.PV_PREF
    guest.uvc(UvCommand.CONVERT_TO_SECURE, configuration_handle=guest.handle, guest_address=0)
    assert guest.host.sie(guest.addresses[0]) is EntryResult.PREEMPTED


@engines
def test_share_lets_host_read_until_unshare(engine: str) -> None:
    text = """
        larl %r2, share
        uvc %r0, %r2
        diag %r0, %r0, 0x44
        larl %r2, unshare
        uvc %r0, %r2
        diag %r0, %r0, 0x44
        .align 8
        share: .short 0x30, 0x1000, 0, 0
        .space 24
        .quad 0x3000, 0
        unshare: .short 0x30, 0x1001, 0, 0
        .space 24
        .quad 0x3000, 0
        .org 0x3000
        .quad 0x42
    """
    guest = SecureGuest(text, engine)
    assert guest.run() is Icpt.PV_INSTR
    assert guest.storage.read(ORIGIN + 0x3000, 8)[7] == 0x42
    assert guest.run() is Icpt.PV_NOTIFY
    assert guest.block.ipa == 0xB9A4
    assert guest.run() is Icpt.PV_INSTR
    with pytest.raises(SecureStorageAccess):
        guest.storage.read(ORIGIN + 0x3000, 8)


@engines
def test_page_of_the_host_is_an_exception_of_the_host(engine: str) -> None:
    guest = SecureGuest("llill %r1, 0x8000\n lg %r2, 0(%r1)\n diag %r2, %r2, 0x44", engine)
    assert guest.host.sie(guest.addresses[0]) is EntryResult.HOST_FAULT
    assert guest.host.host_fault_code == 0x3E
    guest.uvc(
        UvCommand.CONVERT_TO_SECURE,
        configuration_handle=guest.handle,
        guest_address=guest.host.host_fault_address,
    )
    assert guest.run() is Icpt.PV_INSTR


@engines
def test_changed_page_cannot_be_made_secure_again(engine: str) -> None:
    guest = SecureGuest(SECRET, engine)
    guest.uvc(UvCommand.CONVERT_FROM_SECURE, host_address=ORIGIN + 0x1000)
    page = guest.storage.read(ORIGIN + PROGRAM, 4096)
    assert (77).to_bytes(8, "big") not in page
    guest.storage.write(ORIGIN + PROGRAM, b"\1" + page[1:])
    block = guest.uvc(
        UvCommand.CONVERT_TO_SECURE,
        expect=1,
        configuration_handle=guest.handle,
        guest_address=PROGRAM,
    )
    assert block.header.rc == UvReturn.INVALID_STATE


@engines
def test_injected_external_interruption_reaches_the_guest(engine: str) -> None:
    text = """
        stosm 0x900(%r0), 1
        diag %r0, %r0, 0x44
        loop: j loop
        .org 0x1100
        llgh %r5, 0x86(%r0)
        diag %r5, %r5, 0x44
    """
    prelude = "larl %r1, new\n mvc 0x1b0(16,%r0), 0(%r1)\n j go\n .align 8\nnew: .quad 0x180000000"
    guest = SecureGuest(prelude + ", 0x1100\ngo: " + text, engine)
    assert guest.run() is Icpt.PV_INSTR
    guest.block.iictl, guest.block.eic, guest.block.eiparams = Iictl.EXT, 0x2401, 0x3000
    assert guest.run() is Icpt.PV_INSTR
    assert guest.shown(5) == 0x2401


@engines
def test_loop_of_specification_exceptions_is_program_interception(engine: str) -> None:
    guest = SecureGuest(
        "larl %r1, bad\n mvc 0x1d0(16,%r0), 0(%r1)\n lpswe 1(%r0)\n .align 8\n"
        "bad: .quad 0x180000000, 1",
        engine,
    )
    assert guest.run() is Icpt.PROGI
    assert guest.block.iprcc == ProgramCode.SPECIFICATION


@engines
def test_wrong_handle_is_validity_interception(engine: str) -> None:
    guest = SecureGuest(SECRET, engine)
    guest.block.pv_handle_cpu += 1
    assert guest.run() is Icpt.VALIDITY


@engines
def test_changed_control_register_is_told_to_the_host_that_asked(engine: str) -> None:
    text = """
        larl %r1, new
        lctlg %c6, %c6, 0(%r1)
        lctlg %c0, %c0, 8(%r1)
        diag %r0, %r0, 0x44
        .align 8
        new: .quad 0x10000000, 0xc2e0
    """
    guest = SecureGuest(text, engine)
    guest.block.lctl = Lctl.CR0
    assert guest.run() is Icpt.INT_ENABLE
    assert guest.block.gcr[0] == 0xC2E0
    assert guest.run() is Icpt.PV_INSTR
    guest = SecureGuest(text, engine)
    guest.block.lctl = Lctl.CR6
    assert guest.run() is Icpt.INT_ENABLE
    assert guest.block.gcr[6] == 0x10000000
    assert guest.run() is Icpt.PV_INSTR
    guest = SecureGuest(text, engine)
    assert guest.run() is Icpt.PV_INSTR


@engines
def test_enabled_machine_checks_are_told_to_the_host_that_asked(engine: str) -> None:
    text = """
        larl %r1, new
        lpswe 0(%r1)
        .align 8
        new: .quad 0x0004000180000000, there
        there: diag %r0, %r0, 0x44
    """
    guest = SecureGuest(text, engine)
    guest.block.ictl = Ictl.LPSW
    assert guest.run() is Icpt.MCHKREQ
    assert guest.block.gpsw_mask & PswMask.MCHECK
    assert guest.run() is Icpt.PV_INSTR
    guest = SecureGuest(text, engine)
    assert guest.run() is Icpt.PV_INSTR
