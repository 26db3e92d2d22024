"""VMRUN's compiled checks agree with the named rules of `arch.x86.consistency`."""

import random
from collections.abc import Callable, Iterator

import pytest

from tests.guests.broken_vmcbs import BROKEN, HOST, LEGAL, long_mode, real_mode
from tests.semantics.x86.svm.world import VMCB, World, world
from worldswitch.arch.x86.consistency import first_violation
from worldswitch.arch.x86.models import cpu_model
from worldswitch.arch.x86.registers import Efer
from worldswitch.arch.x86.svm_controls import Intercept1
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.svm_host import SvmHost
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.metal.x86.processor import Complex
from worldswitch.metal.x86.state import CS
from worldswitch.metal.x86.storage import Storage
from worldswitch.metal.x86.svm.checks import is_legal
from worldswitch.metal.x86.svm.features import feature_bits
from worldswitch.metal.x86.svm.image import read_block

Check = Callable[[Vmcb, SvmHost], bool]
Enter = Callable[[Vmcb, SvmHost], int]
PARTS = ("svm_features", "asids", "physical_mask", "cr4_mask", "efer_mask", "cr0")
"""What the checks know of the processor."""


@pytest.fixture(scope="module")
def legal() -> Check:
    """The compiled checks, run as they stand by Python."""
    storage = Storage(1 << 20)
    processor = Complex(storage, cpu_model("epyc-genoa"), 1, "python").processors[0]
    cpu, raw = processor.state, processor.raw

    def check(block: Vmcb, host: SvmHost) -> bool:
        storage.write(VMCB, bytes(block))
        raw.svm_features, raw.asids = feature_bits(host.features), host.asids
        raw.physical_mask = host.physical_limit - 1
        raw.cr4_mask, raw.efer_mask = host.cr4_mask, host.efer_mask
        raw.cr0 = 0x8000_0011 if host.paging else 0x11
        raw.vmcb_physical, raw.vmcb, raw.vmcb_cached = VMCB, storage.address + VMCB, 0
        read_block(cpu)
        return bool(is_legal(cpu))

    return check


@pytest.fixture
def enter() -> Iterator[Enter]:
    """A host program executes VMRUN once; the exit code."""
    w = world()
    w.guest("hlt")
    own = {name: getattr(w.raw, name) for name in PARTS}

    def enter(block: Vmcb, host: SvmHost) -> int:
        w.guest("hlt")
        w.storage.write(VMCB, bytes(block))
        w.storage.write(0xFFF0, b"\xf4")
        w.block.control.intercept_1 |= Intercept1.SHUTDOWN | Intercept1.HLT
        save = w.block.save
        save.cs.limit, save.idtr.limit = 0xFFFF, 0xFFF
        save.cs.attrib = save.cs.attrib or 0x9B
        describe(w, host)
        w.run_program("vmrun %rax; hlt")
        return w.block.control.exit_code

    yield enter
    for name, value in own.items():
        setattr(w.raw, name, value)
    w.processor.call("update_mode")


def describe(w: World, host: SvmHost) -> None:
    """Have the processor be one that a block is judged for."""
    raw = w.raw
    raw.svm_features, raw.asids = feature_bits(host.features), host.asids
    raw.physical_mask = host.physical_limit - 1
    raw.cr4_mask, raw.efer_mask = host.cr4_mask, host.efer_mask
    if not host.paging:
        raw.cr0, raw.efer, raw.cr4 = 0x11, Efer.SVME, 0
        raw.seg_attr[CS] = 0xC9B
    w.processor.call("update_mode")


def test_every_rule_has_a_block_that_breaks_it_alone() -> None:
    assert {case[0] for case in BROKEN} == {rule.name for rule in Vmcb.rules}
    for name, host, make, _ in BROKEN:
        assert {violation.rule for violation in Vmcb.check(make(), host)} == {name}


@pytest.mark.parametrize("case", BROKEN, ids=[f"{n}-{b[0]}" for n, b in enumerate(BROKEN)])
def test_vmrun_of_a_program_refuses_a_block_that_breaks_one_rule(case: tuple, enter: Enter) -> None:
    _, host, make, _ = case
    assert enter(make(), host) == SvmExit.INVALID


@pytest.mark.parametrize("make", [real_mode, long_mode])
def test_vmrun_of_a_program_enters_the_blocks_that_the_others_are_made_of(
    make: Callable[[], Vmcb], enter: Enter
) -> None:
    assert Vmcb.check(make(), HOST) == []
    code = enter(make(), HOST)
    assert code != SvmExit.INVALID
    assert code == (SvmExit.HLT if make is real_mode else SvmExit.NPF)


@pytest.mark.parametrize("case", BROKEN, ids=[f"{n}-{b[0]}" for n, b in enumerate(BROKEN)])
def test_broken_vmcb_is_refused(case: tuple, legal: Check) -> None:
    _, host, make, _ = case
    assert not legal(make(), host)


@pytest.mark.parametrize("case", LEGAL, ids=[case[0] for case in LEGAL])
def test_legal_vmcb_is_accepted(case: tuple, legal: Check) -> None:
    _, host, make = case
    assert legal(make(), host)


FIELDS = (
    "efer", "cr0", "cr3", "cr4", "dr6", "dr7", "s_cet", "g_pat", "intercept_1", "intercept_2",
    "iopm_base_pa", "msrpm_base_pa", "event_inj", "asid", "v_intr", "nested_control", "nested_cr3",
)  # fmt: skip


def test_random_changes_are_judged_alike(legal: Check) -> None:
    """One or two bits of what the checks read, flipped at random, a thousand times."""
    generator = random.Random(20)
    for _ in range(1000):
        block = generator.choice((real_mode, long_mode))()
        for _ in range(generator.randint(1, 2)):
            name = generator.choice(FIELDS)
            area = block.control if hasattr(block.control, name) else block.save
            width = 32 if name in ("intercept_1", "intercept_2", "asid") else 64
            setattr(area, name, getattr(area, name) ^ 1 << generator.randrange(width))
        assert legal(block, HOST) == (first_violation(block, HOST) is None), bytes(block).hex()


def test_invalid_vmcb_exits_at_once_and_keeps_the_guest() -> None:
    w = world()
    w.guest("hlt", asid=0, rax=5, exit_int_info=7)
    w.gr[0], w.gr[3] = 0x1234, 0x99
    w.host.clgi()
    assert w.run() == SvmExit.INVALID
    assert w.info == (0, 0)
    assert w.block.control.exit_int_info == 0
    assert w.block.save.rax == 5
    assert (w.gr[0], w.gr[3]) == (0x1234, 0x99)
    assert w.raw.gif == 0


def test_guest_pdptes_that_are_wrong_exit_invalid() -> None:
    w = world()
    w.guest("hlt", cr3=0x5000, efer=0x1000)
    w.block.save.cs.attrib = 0xC9B
    w.put(0x5000, 0x6003)
    assert w.run() == SvmExit.INVALID
    assert w.raw.cr3 == 0x10000
    assert w.raw.guest == 0
