"""Protected guests under the hypervisor. ref: SIE protected guest."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import PROGRAM, plant
from tests.guests.protected_guest import HEADER, IMAGE, LOADER, PARAMETERS, ProtectedGuest
from worldswitch.arch.s390x.diag import Diag308Response
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.arch.s390x.uv import UvCommand, UvReturn
from worldswitch.hypervisor.outcome import Preempted, Stopped
from worldswitch.hypervisor.requests import (
    CpuStopped,
    Diagnose,
    Intercepted,
    ServiceCall,
    StoreSystemInformation,
)
from worldswitch.hypervisor.sie import ultravisor
from worldswitch.hypervisor.sie.ultravisor import UltravisorError
from worldswitch.metal.interface import SecureStorageAccess

END = Diagnose(0xFFF, 0, 0)
DONE = "\ndiag %r0, %r0, 0xfff\n"
STOP = "\nlghi %r4, 0\n sigp %r0, %r4, 5(%r0)\n"
SCCB = IMAGE + 0x1000
PRINT = f"""
    llilf %r1, 0x00760005
    llilf %r2, {SCCB}
    servc %r1, %r2
    lh %r7, 6(%r2)
    BEHIND
    .org {SCCB}
    .short 20, 0, 0, 0
    .short 12
    .byte 0x1a, 0, 0, 0
    .ascii "secret"
"""


@covers("dispatch/protected-instruction", "notification/service-call")
def test_protected_guest_prints_and_stops_and_cannot_be_read() -> None:
    guest = ProtectedGuest(PRINT.replace("BEHIND", STOP), enter=False)
    result = guest.machine.run(30)
    assert result.status == 0, result
    assert bytes(guest.machine.console) == b"secret"
    assert guest.cpu.protected
    with pytest.raises(SecureStorageAccess):
        guest.vm.memory.read(SCCB, 16)
    with pytest.raises(SecureStorageAccess):
        guest.vm.memory.write(IMAGE, b"\0")


@covers("notification/service-call")
def test_service_signal_is_delivered_after_its_notification_only() -> None:
    behind = """
        larl %r1, new
        mvc 0x1b0(16,%r0), 0(%r1)
        larl %r1, cr0
        lctlg %c0, %c0, 0(%r1)
        stosm 0x900(%r0), 1
        diag %r0, %r0, 0xffe
        .align 8
        new: .quad 0x180000000, external
        cr0: .quad 0x2e0
        external: llgh %r3, 0x86(%r0)
        diag %r3, %r3, 0xfff
    """
    guest = ProtectedGuest(PRINT.replace("BEHIND", behind))
    request = guest.request()
    assert request == ServiceCall(0x76_0005, 0x4000)
    guest.machine.answer(guest.cpu, request)
    assert not guest.vm.floating.pending()  # its notification has not come yet
    assert guest.request() == Diagnose(0xFFF, 3, 3)
    assert guest.cpu.gr[3] == 0x2401
    assert guest.counted("deliver_service_signal") == 1


@covers("notification/prefix", "dispatch/protected-prefix")
def test_prefix_of_protected_guest_is_followed_and_made_secure() -> None:
    text = "larl %r1, new\n spx 0(%r1)\n stpx 0x800(%r0)\n l %r3, 0x800(%r0)\n diag %r3, %r3, 0xfff"
    guest = ProtectedGuest(text + "\n.align 4\nnew: .long 0x20000")
    assert guest.request() == Diagnose(0xFFF, 3, 3)
    assert guest.cpu.prefix == 0x2_0000
    for page in (0x2_0000, 0x2_1000):
        with pytest.raises(SecureStorageAccess):
            guest.vm.memory.read(page, 1)


@covers("dispatch/protected-prefix-fails")
def test_prefix_page_that_cannot_be_made_secure_is_warned_of() -> None:
    guest = ProtectedGuest(DONE)
    memory, tries = guest.vm.memory, []

    def refuse(cpu: object) -> None:
        tries.append(1)
        configuration = guest.vm.protected
        assert configuration is not None
        configuration.handle += 1 if len(tries) == 1 else 0

    def allow(cpu: object) -> None:
        if len(tries) == 2:
            assert guest.vm.protected is not None
            guest.vm.protected.handle -= 1

    guest.vm.on_exit(Icpt.PV_PREF)(refuse)
    guest.vm.on_exit(Icpt.PV_PREF)(allow)
    # The guest cannot execute anything: the slice is over, lest nothing ever ends it.
    assert guest.backend.run(guest.cpu, guest.machine.host) == Preempted()
    assert guest.request() == END
    assert any("CONVERT_TO_SECURE" in warning for warning in guest.vm.warnings)
    assert memory.size


SHARING = f"""
    larl %r2, block
    uvc %r0, %r2
    diag %r0, %r0, 0xffe
    mvhhi 2(%r2), COMMAND
    uvc %r0, %r2
    diag %r0, %r0, 0xfff
    .align 8
    block: .short 0x30, 0x1000, 0, 0
    .space 24
    .quad {IMAGE + 0x2000}, 0
    .org {IMAGE + 0x2000}
    .quad 0x42
    .space 4088
"""
SHARED = IMAGE + 0x2000


@covers("notification/unshare")
def test_page_is_readable_while_it_is_shared() -> None:
    guest = ProtectedGuest(SHARING.replace("COMMAND", "0x1001"))
    assert guest.request() == Diagnose(0xFFE, 0, 0)
    assert guest.load(SHARED) == 0x42
    assert guest.request() == END
    with pytest.raises(SecureStorageAccess):
        guest.load(SHARED)


@covers("notification/unpin-fails")
def test_page_that_cannot_be_unpinned_is_tried_again() -> None:
    guest = ProtectedGuest(SHARING.replace("COMMAND", "0x1001"))
    assert guest.request() == Diagnose(0xFFE, 0, 0)
    host_address = guest.vm.gmap.host_address(SHARED)
    assert host_address is not None

    def pin(block: ultravisor.ConvertFromSecure) -> None:
        block.host_address = host_address

    ultravisor.call(guest.machine.host, UvCommand.PIN_SHARED, ultravisor.ConvertFromSecure, pin)
    tries: list[int] = []

    def fail_once(cpu: object) -> None:
        tries.append(1)
        assert guest.vm.protected is not None
        if len(tries) <= 2:
            guest.vm.protected.handle += 1 if len(tries) == 1 else -1

    guest.vm.on_exit(Icpt.PV_NOTIFY)(fail_once)
    assert guest.backend.run(guest.cpu, guest.machine.host) == Preempted()
    assert guest.request() == END
    assert len(tries) == 2
    assert guest.counted("unpin_failed") == 1


@covers("notification/other-call")
def test_notification_of_another_call_is_warned_of() -> None:
    guest = ProtectedGuest(SHARING.replace("COMMAND", "0x1001"))
    assert guest.request() == Diagnose(0xFFE, 0, 0)

    def another(cpu: object) -> None:
        where = guest.cpu.sd.sidad & ~0xFFF
        guest.machine.host.storage.write(where + 2, (0x1020).to_bytes(2, "big"))

    guest.vm.on_exit(Icpt.PV_NOTIFY)(another)
    assert guest.request() == END
    assert guest.vm.warnings == ["unexpected notification of Ultravisor call 0x1020"]


@covers("notification/instruction")
def test_notification_of_another_instruction_is_handled_as_one() -> None:
    guest = ProtectedGuest("larl %r1, new\n spx 0(%r1)" + DONE + ".align 4\nnew: .long 0x20000")
    plant(guest, Icpt.PV_NOTIFY, ipa=0x8300, ipb=0x7F8_0000)
    assert guest.request() == Diagnose(0x7F8, 0, 0)


@covers("sthyi/protected")
def test_sthyi_of_protected_guest_answers_in_the_instruction_data() -> None:
    guest = ProtectedGuest(
        f"lghi %r2, 0\n llilf %r4, {SCCB}\n .insn b2560024" + DONE + ".space 4096"
    )
    seen: list[bytes] = []

    def look(cpu: object) -> None:
        if guest.cpu.ipa == 0x8300:
            seen.append(guest.machine.host.storage.read(guest.cpu.sd.sidad & ~0xFFF, 32))

    guest.vm.on_exit(Icpt.PV_INSTR)(look)
    assert guest.request() == END
    assert guest.counted("instruction_sthyi") == 1
    assert any(seen[0])


@covers("program/protected")
def test_loop_of_specification_exceptions_is_the_machines() -> None:
    text = "larl %r1, bad\n mvc 0x1d0(16,%r0), 0(%r1)\n lpswe 1(%r0)\n .align 8\n"
    guest = ProtectedGuest(text + "bad: .quad 0x180000000, 1")
    request = guest.request()
    assert isinstance(request, Intercepted)
    assert request.code == Icpt.PROGI


@covers("protected/system-information")
def test_system_information_goes_by_way_of_the_instruction_data() -> None:
    text = f"llilf %r0, 0x30000002\n lghi %r1, 2\n llilf %r3, {SCCB}\n stsi 0(%r3)\n"
    guest = ProtectedGuest(text + DONE + ".space 8192")
    request = guest.request()
    assert request == StoreSystemInformation(3, 2, 2, 0)
    guest.machine.answer(guest.cpu, request)
    area = guest.machine.host.storage.read(guest.cpu.sd.sidad & ~0xFFF, 4096)
    assert any(area)


@covers("protected/stop-and-start")
def test_cpus_of_protected_guest_stop_and_start_with_the_ultravisor() -> None:
    guest = ProtectedGuest(STOP + "lghi %r4, 1\n sigp %r0, %r4, 12(%r0)" + DONE, cpus=2)
    assert guest.request() == CpuStopped(stored=False)
    assert guest.cpu.stopped
    guest.cpu.start()
    assert guest.request() == END
    assert guest.vm.vcpus[1].stopped


@covers("protected/parameters")
def test_parameters_are_checked_and_given_back() -> None:
    guest = ProtectedGuest(DONE, enter=False)
    guest.store(PARAMETERS + 0x0C, 2, 1)
    guest.finish()
    assert guest.cpu.gr[6] == Diag308Response.INVALID
    assert guest.cpu.gr[3] == Diag308Response.NO_PROTECTED_CONFIGURATION
    guest = ProtectedGuest(DONE)
    assert guest.vm.protected is not None


@covers("protected/refused")
@pytest.mark.parametrize("where", [HEADER, HEADER + 0x40, IMAGE])
def test_image_that_is_not_genuine_is_refused(where: int) -> None:
    guest = ProtectedGuest(DONE, enter=False)
    guest.store(where, 0)
    guest.finish()
    assert guest.cpu.gr[3] == Diag308Response.INVALID_FOR_PROTECTED
    assert not guest.cpu.protected
    assert guest.vm.protected is None
    assert guest.load(PROGRAM, 1) == 0xC0
    assert guest.vm.warnings


@covers("protected/refused")
def test_guest_that_asks_for_protected_mode_for_ever_uses_up_nothing() -> None:
    text = LOADER.replace("lghi %r5, 10", "again: lghi %r5, 10")
    guest = ProtectedGuest(DONE, enter=False, loader=text.replace("diag %r0, %r0", "j again #"))
    guest.store(IMAGE, 0)
    host = guest.machine.host
    left = 0
    for n in range(100):
        guest.machine.answer(guest.cpu, guest.request())
        if n == 2:
            left = host.storage.allocate(4096)
    assert guest.cpu.gr[3] == Diag308Response.INVALID_FOR_PROTECTED
    assert host.storage.allocate(4096) == left - 4096
    assert len(guest.vm.warnings) == 1


@covers("protected/refused")
def test_protected_mode_without_an_extended_system_control_area_is_refused() -> None:
    guest = ProtectedGuest(DONE, enter=False)
    guest.vm.sca.extended = False
    guest.finish()
    assert guest.cpu.gr[3] == Diag308Response.INVALID_FOR_PROTECTED


@covers("protected/error")
def test_page_that_was_tampered_with_ends_the_guest_with_a_diagnosis() -> None:
    text = f"llilf %r1, {SCCB}\n lg %r2, 0(%r1)\n diag %r0, %r0, 0xffe\n lg %r2, 0(%r1)" + DONE
    guest = ProtectedGuest(text)
    assert guest.request() == Diagnose(0xFFE, 0, 0)
    guest.vm.export_page(SCCB)
    guest.store(SCCB, 0xBAD)
    end = guest.run()
    assert isinstance(end, Stopped)
    assert "CONVERT_TO_SECURE" in end.diagnosis


@covers("protected/stop-and-start", "sigp/set-prefix", "sigp/restart")
def test_protected_cpu_restarts_in_the_prefix_area_that_it_was_given() -> None:
    text = """
        lghi %r4, 1
        llilf %r3, 0x20000
        larl %r1, new
        mvc 0x1a0(16,%r3), 0(%r1)
        sigp %r2, %r4, 13(%r0)
        sigp %r2, %r4, 6(%r0)
        diag %r0, %r0, 0xfff
        there: stpx 0x800(%r0)
        lg %r3, 0x800(%r0)
        diag %r3, %r3, 0xffe
        .align 8
        new: .quad 0x180000000, there
    """
    guest = ProtectedGuest(text, cpus=2)
    assert guest.request() == END
    assert guest.request(1) == Diagnose(0xFFE, 3, 3)
    assert guest.vm.vcpus[1].gr[3] == 0x2_0000 << 32


@covers("protected/error")
def test_refused_call_names_command_and_return_code() -> None:
    guest = ProtectedGuest(DONE)
    with pytest.raises(UltravisorError) as caught:
        ultravisor.convert_to_secure(guest.machine.host, 99, 0)
    assert caught.value.rc == UvReturn.INVALID_CONFIGURATION_HANDLE
