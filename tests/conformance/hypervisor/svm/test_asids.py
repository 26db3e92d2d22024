"""The table of ASID and table generations: with the flush a guest reads fresh, without it stale.

| ASID generation | tables | what is done |
|---|---|---|
| same | same | (a) nothing |
| same | changed | (b1) the ASID's entries are flushed; (b2) or, if that cannot be, a new ASID |
| other | same | (c) a new ASID |
| other | changed | (d) a new ASID |
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import DATA, SvmGuest
from worldswitch.arch.x86.models import cpu_model
from worldswitch.arch.x86.svm_controls import Clean, TlbControl
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.hypervisor.requests import PortWrite
from worldswitch.hypervisor.x86.state import CpuState
from worldswitch.metal.interface import EntryResult

READS = f"1: mov {DATA}, %eax; out %eax, $0x80; jmp 1b"
OTHER = 0x40_0000
OLD, NEW = 0x11, 0x22
FLUSH_BY_ASID, WITHOUT = "epyc-milan", "epyc-milan,-flushbyasid"
FRAME = 0xF_FFFF_FFFF_F000
LARGE = 0x80


def reading(model: str) -> SvmGuest:
    """A guest that has read DATA once on the first of two processors."""
    guest = SvmGuest(READS, hosts=2, model=model)
    guest.vm.memory.write(DATA, bytes([OLD]))
    guest.vm.memory.write(OTHER, bytes([NEW]))
    guest.entries = guest.watch()  # type: ignore[attr-defined]
    assert read(guest) == OLD
    return guest


def read(guest: SvmGuest, host: int = 0) -> int:
    """What the guest reads next, on a processor."""
    request = guest.request(host=host)
    assert isinstance(request, PortWrite)
    return request.value


def leaf(guest: SvmGuest, address: int) -> int:
    """Host address of the nested tables' last entry for an address."""
    storage = guest.vm.storage
    table, shift = guest.vm.npt.root, 39
    while True:
        at = table + 8 * (address >> shift & 511)
        entry = int.from_bytes(storage.read(at, 8), "little")
        assert entry & 1, hex(address)
        if shift == 12 or entry & LARGE:
            return at
        table, shift = entry & FRAME, shift - 9


def change_quietly(guest: SvmGuest) -> None:
    """DATA is another page in the nested tables, which the hypervisor is not told of."""
    at, backing = leaf(guest, DATA), guest.vm.memory.host_address(OTHER)
    assert backing is not None
    entry = int.from_bytes(guest.vm.storage.read(at, 8), "little")
    guest.vm.storage.write(at, (entry & ~FRAME | backing & FRAME).to_bytes(8, "little"))


def change(guest: SvmGuest) -> None:
    """DATA becomes another page, as a machine does it."""
    old, backing = guest.vm.npt.memory.slots[0], guest.vm.memory.host_address(OTHER)
    assert backing is not None
    guest.vm.npt.remove(0)
    guest.vm.map(0, old.host, DATA)
    guest.vm.map(DATA, backing, 0x1000)
    rest = DATA + 0x1000
    guest.vm.map(rest, old.host + rest, old.size - rest)


def forget(guest: SvmGuest) -> None:
    """From now on the first processor's entries are made with the first ASID and flush nothing."""
    host = guest.hosts[0]
    vmrun = host.vmrun

    def careless(vmcb: int) -> EntryResult:
        control = Vmcb(host.storage.view, vmcb).control
        control.asid, control.tlb_control = 1, TlbControl.DO_NOTHING
        control.clean &= ~Clean.ASID
        return vmrun(vmcb)

    host.vmrun = careless  # type: ignore[method-assign]
    guest.cpu.put()


def last(guest: SvmGuest) -> tuple[int, int]:
    """ASID and TLB control of the entry that began the last reading."""
    entry = guest.entries[guest.before]  # type: ignore[attr-defined]
    return entry.asid, entry.tlb_control


def mark(guest: SvmGuest) -> None:
    """The next entry is the one that `last` is about."""
    guest.before = len(guest.entries)  # type: ignore[attr-defined]


@covers("asid/none", "run/first", "run/same-processor")
@pytest.mark.parametrize("model", [FLUSH_BY_ASID, WITHOUT])
def test_same_generations_flush_nothing_and_a_quiet_change_is_not_seen(model: str) -> None:
    guest = reading(model)
    first = guest.entries[0]  # type: ignore[attr-defined]
    assert (first.asid, first.clean) == (1, 0)
    change_quietly(guest)
    mark(guest)
    assert read(guest) == OLD
    assert last(guest) == (1, TlbControl.DO_NOTHING)
    guest.cpu.flush_translations()
    assert read(guest) == NEW


Change = Callable[[SvmGuest], None]


def move(guest: SvmGuest) -> None:
    """The virtual CPU was on the other processor meanwhile, and is back."""
    read(guest, host=1)


def nowhere(_guest: SvmGuest) -> None:
    """It was not."""


CASES = [
    pytest.param(change, nowhere, FLUSH_BY_ASID, (1, TlbControl.FLUSH_GUEST), id="b1"),
    pytest.param(change, nowhere, WITHOUT, (2, TlbControl.DO_NOTHING), id="b2"),
    pytest.param(change_quietly, move, FLUSH_BY_ASID, (2, TlbControl.FLUSH_GUEST), id="c"),
    pytest.param(change_quietly, move, WITHOUT, (2, TlbControl.DO_NOTHING), id="c-without"),
    pytest.param(change, move, FLUSH_BY_ASID, (2, TlbControl.FLUSH_GUEST), id="d"),
    pytest.param(change, move, WITHOUT, (2, TlbControl.DO_NOTHING), id="d-without"),
]


@covers("asid/flush-guest", "asid/no-flush-by-asid", "asid/generation", "asid/both")
@pytest.mark.parametrize(("how", "where", "model", "expected"), CASES)
def test_changed_page_is_read_fresh(
    how: Change, where: Change, model: str, expected: tuple[int, int]
) -> None:
    guest = reading(model)
    how(guest)
    where(guest)
    mark(guest)
    assert read(guest) == NEW
    assert last(guest) == expected
    mark(guest)
    assert read(guest) == NEW
    assert last(guest) == (expected[0], TlbControl.DO_NOTHING)


@covers("asid/flush-guest", "asid/no-flush-by-asid", "asid/generation", "asid/both")
@pytest.mark.parametrize(("how", "where", "model", "expected"), CASES)
def test_changed_page_is_read_stale_if_the_flush_and_the_new_asid_are_left_out(
    how: Change, where: Change, model: str, expected: tuple[int, int]
) -> None:
    guest = reading(model)
    forget(guest)
    how(guest)
    where(guest)
    assert read(guest) == OLD
    assert expected


@covers("asid/rollover", "asid/rollover-flush")
@pytest.mark.parametrize("model", [FLUSH_BY_ASID, WITHOUT])
def test_asids_that_are_used_up_begin_again_and_nobody_reads_what_is_anothers(model: str) -> None:
    guest = SvmGuest(
        f"1: mov (%ebx), %eax; add $1, %eax; mov %eax, (%ebx); out %eax, $0x80; jmp 1b; {READS}",
        cpus=3,
        model=replace(cpu_model(model), asids=3),
    )
    guest.start_all()
    entries = guest.watch()
    for vcpu in guest.vm.vcpus:
        vcpu.gr[3] = DATA + 16 * vcpu.address
        assert vcpu.state is CpuState.RUNNING
    firsts: list[tuple[int, int]] = []
    for turn in range(6):
        before = len(entries)
        request = guest.request(cpu=turn % 3)
        assert request == PortWrite(0x80, 4, turn // 3 + 1)
        firsts.append((entries[before].asid, entries[before].tlb_control))
    asids = [asid for asid, _ in firsts]
    assert asids == [1, 2, 1, 2, 1, 2]
    if model == FLUSH_BY_ASID:
        assert {flush for _, flush in firsts} == {TlbControl.FLUSH_GUEST}
    else:
        # The first one begins a generation as well.
        assert [flush for _, flush in firsts] == [TlbControl.FLUSH_ALL, 0] * 3


@covers("register/cr3")
def test_new_cr3_from_outside_drops_what_was_translated() -> None:
    guest = reading(FLUSH_BY_ASID)
    guest.backend.setreg(guest.cpu, "cr3", 0x1000)
    mark(guest)
    assert read(guest) == OLD
    assert last(guest) == (1, TlbControl.FLUSH_GUEST)
