"""VMCBs and guests that nobody would write: VMRUN always ends, and the host is unharmed."""

import random

import pytest

from tests.semantics.x86.svm.world import CODE, VMCB, World, world
from worldswitch.arch.x86.svm_controls import Intercept1
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.x86.host import HostShutdown

ROUNDS = 150
LIVE = (0x60, 0x0D0)
"""Offsets of the control area whose bits are flipped, beside all of the save area."""


def run_slices(w: World) -> None:
    """A few short slices of the guest."""
    w.host.time_slice = 500
    for _ in range(4):
        try:
            result = w.host.vmrun(VMCB)
        except HostShutdown:
            return
        assert result in (EntryResult.EXIT, EntryResult.PREEMPTED)
        if not w.raw.guest:
            assert w.raw.asid == 0
            assert w.raw.intercepts[4] == 0


@pytest.mark.parametrize("seed", range(4))
def test_random_vmcb_ends(seed: int) -> None:
    generator = random.Random(seed)
    w = world()
    for _ in range(ROUNDS):
        w.guest("cpuid; mov %eax, 0x200000; int $0x80; hlt", nested=generator.random() < 0.5,
                intercept_1=Intercept1.INTR, v_intr_masking=1)  # fmt: skip
        for _ in range(generator.randint(1, 24)):
            if generator.random() < 0.4:
                at = generator.choice((*range(0x000, 0x018), *range(*LIVE)))
            else:
                at = generator.randrange(0x400, 0x698)
            w.storage.view[VMCB + at] ^= 1 << generator.randrange(8)
        run_slices(w)


@pytest.mark.parametrize("seed", range(4))
def test_random_code_in_a_guest_ends(seed: int) -> None:
    generator = random.Random(seed + 100)
    w = world()
    for _ in range(ROUNDS):
        w.guest("hlt", nested=generator.random() < 0.5, intercept_1=Intercept1.INTR,
                v_intr_masking=1)  # fmt: skip
        w.block.control.intercept_1 |= generator.getrandbits(32)
        w.block.control.intercept_2 |= generator.getrandbits(16)
        w.block.control.intercept_exceptions = generator.getrandbits(32)
        w.storage.write(CODE, generator.randbytes(64))
        for n in range(16):
            w.gr[n] = generator.choice((0, VMCB, CODE, generator.getrandbits(64)))
        run_slices(w)
