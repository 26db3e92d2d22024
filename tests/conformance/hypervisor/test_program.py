"""Program interceptions. ref: XA-IE Program Interruptions."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import PROGRAM, PSW_64, HypervisorGuest, grant, plant
from worldswitch.arch.s390x.program import PER, PerCode, ProgramCode
from worldswitch.arch.s390x.sie_controls import Ecb, Icpt
from worldswitch.hypervisor.outcome import Outcome, Stopped
from worldswitch.hypervisor.requests import DebugEvent, ProgramLoop
from worldswitch.hypervisor.sie.debug import GuestDebug
from worldswitch.hypervisor.sie.vcpu import SieVcpu

P = ProgramCode
FAULT = "llihl %r1, 1\n lg %r2, 0(%r1)\n diag %r0, %r0, 0xfff"
"""Ends with an addressing exception, which is always intercepted."""
TEID, EAI, OAI = 0x1234_5000_0000_0401, 0x15, 0x32
PARAMETERS = {"tecmc": TEID, "eai": EAI, "oai": OAI, "dxc": 0xFE, "mcn": 0x7}
AT_TEID, AT_EAI, AT_OAI = (0xA8, 8), (0xA0, 1), (0xA2, 1)
BY_TEID = [
    P.AFX_TRANSLATION, P.ASX_TRANSLATION, P.EX_TRANSLATION, P.LFX_TRANSLATION, P.LSTE_SEQUENCE,
    P.LSX_TRANSLATION, P.LX_TRANSLATION, P.PRIMARY_AUTHORITY, P.SECONDARY_AUTHORITY,
    P.SPACE_SWITCH,
]  # fmt: skip
BY_ACCESS_ID = [
    P.ALEN_TRANSLATION, P.ALE_SEQUENCE, P.ASTE_INSTANCE, P.ASTE_SEQUENCE, P.ASTE_VALIDITY,
    P.EXTENDED_AUTHORITY,
]  # fmt: skip
BY_BOTH = [
    P.ASCE_TYPE, P.PAGE_TRANSLATION, P.REGION_FIRST_TRANSLATION, P.REGION_SECOND_TRANSLATION,
    P.REGION_THIRD_TRANSLATION, P.SEGMENT_TRANSLATION,
]  # fmt: skip


def faulted(code: int, **fields: int) -> HypervisorGuest:
    """A guest after a program interception that says `code` with all parameters."""
    guest = HypervisorGuest(FAULT)
    for where, size in ((0xA8, 8), (0xB0, 8), (0xA0, 8), (0x94, 4)):
        guest.store(where, 0, size)
    plant(guest, Icpt.PROGI, iprcc=code, **(PARAMETERS | fields))
    assert guest.trap() == code
    return guest


def stored(guest: HypervisorGuest) -> tuple[int, int, int]:
    return guest.load(*AT_TEID), guest.load(*AT_EAI), guest.load(*AT_OAI)


@covers("program/teid")
@pytest.mark.parametrize("code", BY_TEID)
def test_space_and_linkage_exceptions_store_translation_identification(code: int) -> None:
    assert stored(faulted(code)) == (TEID, 0, 0)


@covers("program/access-id")
@pytest.mark.parametrize("code", BY_ACCESS_ID)
def test_access_register_exceptions_store_access_identification(code: int) -> None:
    assert stored(faulted(code)) == (0, EAI, 0)


@covers("program/translation")
@pytest.mark.parametrize("code", BY_BOTH)
def test_translation_exceptions_store_all_identifications(code: int) -> None:
    assert stored(faulted(code)) == (TEID, EAI, OAI)


@covers("program/protection")
def test_protection_stores_both_identifications_but_no_operand() -> None:
    assert stored(faulted(P.PROTECTION)) == (TEID, EAI, 0)


@covers("program/monitor")
def test_monitor_event_of_debugged_guest_stores_class_and_code() -> None:
    text = """
        larl %r1, classes
        lctlg %c8, %c8, 0(%r1)
        mc 0x123(%r0), 7
        .align 8
        classes: .quad 0xffff
    """
    guest = HypervisorGuest(text)
    guest.cpu.debug = GuestDebug()
    assert guest.trap() == P.MONITOR_EVENT
    assert (guest.load(0x94, 2), guest.load(0xB0)) == (7, 0x123)
    assert guest.counted("exit_program_interruption") == 1


@covers("program/data")
def test_compare_and_trap_of_debugged_guest_stores_data_exception_code() -> None:
    guest = HypervisorGuest("lghi %r1, 0\n cgrt %r1, %r1, 8\n")
    guest.cpu.debug = GuestDebug()
    assert guest.trap() == P.DATA
    assert guest.load(0x90, 4) == 0xFF


@covers("program/data")
@pytest.mark.parametrize("code", [P.DATA, P.VECTOR_PROCESSING])
def test_data_exceptions_store_their_code(code: int) -> None:
    assert faulted(code).load(0x90, 4) == 0xFE


@covers("program/plain", "program/no-rewind")
def test_addressing_exception_stores_no_parameters_and_keeps_the_psw() -> None:
    guest = HypervisorGuest(FAULT)
    assert guest.trap() == P.ADDRESSING
    assert stored(guest) == (0, 0, 0)
    assert guest.load(0x158) == PROGRAM + 10


@covers("program/no-rewind", "program/translation")
def test_nullified_instruction_of_debugged_guest_is_pointed_at_once() -> None:
    text = "larl %r1, asce\n lctlg %c1, %c1, 0(%r1)\n stosm 0x900(%r0), 4\n nop: j nop\n .align 8\n"
    guest = HypervisorGuest(text + "asce: .quad 0x6000")
    guest.cpu.debug = GuestDebug()
    guest.store(0x6000, 0x20)  # an invalid segment-table entry
    guest.store(0x1D8, 0x4800)
    guest.vm.memory.write(0x4800, bytes.fromhex("83000fff"))
    guest.finish()
    assert guest.code == P.SEGMENT_TRANSLATION
    assert guest.load(0x158) == guest.labels["nop"]
    assert guest.load(0xA8) & ~0xFFF == PROGRAM


PER_STORE = """
    larl %r1, controls
    lctlg %c9, %c11, 0(%r1)
    larl %r1, psw
    lpswe 0(%r1)
    traced: llihl %r1, 1
    fault: lg %r2, 0(%r1)
    .align 8
    controls: .quad 0x40000000, fault, fault
    psw: .quad 0x4000000180000000, traced
"""


@covers("program/per")
def test_exception_with_per_event_stores_both() -> None:
    guest = HypervisorGuest(PER_STORE)
    assert guest.trap() == PER | P.ADDRESSING
    assert guest.load(0x96, 1) == PerCode.INSTRUCTION_FETCH
    assert guest.load(0x98) == guest.labels["fault"]


@covers("program/debug-filtered")
def test_per_event_of_the_debugger_alone_is_not_the_guests() -> None:
    guest = HypervisorGuest("lghi %r1, 1\n lghi %r2, 2\n diag %r0, %r0, 0xfff")
    guest.cpu.debug = GuestDebug(single_step=True)
    steps = []
    for _ in range(2):
        request = guest.request()
        assert isinstance(request, DebugEvent)
        steps.append(request.address)
    assert steps == [PROGRAM + 4, PROGRAM + 8]
    assert guest.counted("deliver_program") == 0


@covers("program/debug-passed")
def test_per_event_that_the_guest_wants_too_is_told_to_both() -> None:
    guest = HypervisorGuest(PER_STORE.replace("fault, fault", "traced, traced"))
    guest.cpu.debug = GuestDebug(breakpoints={guest.labels["fault"]})
    request = guest.request()
    assert request == DebugEvent(guest.labels["fault"], "breakpoint")
    assert guest.trap() == PER
    assert guest.load(0x98) == guest.labels["traced"]


@covers("program/loop")
def test_specification_exception_with_invalid_new_psw_is_refused() -> None:
    guest = HypervisorGuest("lpswe 1(%r0)")
    guest.store(0x1D8, 0x4001)
    request = guest.request()
    assert request == ProgramLoop("program", int(P.SPECIFICATION), PSW_64, 0x4001)
    assert guest.counted("deliver_program") == 0


@covers("program/loop-unreadable")
def test_new_psw_that_cannot_be_read_ends_the_cpu() -> None:
    guest = HypervisorGuest("lpswe 1(%r0)")

    def lose_storage(cpu: object) -> None:
        guest.vm.gmap.slots.clear()

    guest.vm.on_exit(Icpt.PROGI)(lose_storage)
    end = guest.run()
    assert isinstance(end, Stopped)


def with_diagnostic_block(first: int, te: bool) -> HypervisorGuest:
    guest = HypervisorGuest(FAULT)
    if te:
        grant(guest, 50, 73)

        def with_transactions(vcpu: SieVcpu) -> Outcome:
            """The metal has no transactions: they are on for the handler alone."""
            vcpu.sd.ecb |= Ecb.TE
            outcome = vcpu.handle(Icpt.PROGI)
            vcpu.sd.ecb &= ~Ecb.TE
            return outcome

        guest.vm.on_exit(Icpt.PROGI)(with_transactions)
    guest.vm.hosts[0].storage.write(guest.cpu.itdb_origin, bytes([first]) + bytes(range(1, 256)))
    assert guest.trap() == P.ADDRESSING
    return guest


def blocks(guest: HypervisorGuest) -> tuple[bytes, bytes]:
    """The lowcore's and the facility's transaction diagnostic blocks."""
    facility = guest.vm.hosts[0].storage.read(guest.cpu.itdb_origin, 256)
    return guest.vm.memory.read(0x1800, 256), facility


@covers("program/itdb")
def test_diagnostic_block_of_aborted_transaction_goes_to_the_lowcore() -> None:
    lowcore, facility = blocks(with_diagnostic_block(1, te=True))
    assert lowcore == bytes([1]) + bytes(range(1, 256))
    assert facility == bytes(256)


@covers("program/itdb-off", "program/itdb-invalid")
@pytest.mark.parametrize(("first", "te"), [(1, False), (0, True)])
def test_diagnostic_block_stays_without_transaction(first: int, te: bool) -> None:
    lowcore, facility = blocks(with_diagnostic_block(first, te))
    assert lowcore == bytes(256)
    assert facility[1:] == bytes(range(1, 256))
