"""Guests that do anything at all: each run ends in one of the typed ways."""

import random

import pytest

from tests.unit.hypervisor.svm.fake_host import FakeHost, Guest, interrupted, leave
from worldswitch.arch.x86.apic import ApicRegister, Svr
from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.svm_controls import EventType, event
from worldswitch.arch.x86.svm_exits import EXIT_INFO, NpfInfo, SvmExit
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.hypervisor.outcome import NotOperating, Preempted, Stopped, ToMachine, Wait
from worldswitch.hypervisor.requests import UnclaimedExit
from worldswitch.hypervisor.x86.state import SEGMENT_NAMES, SegmentState

ENDS = (ToMachine, Stopped, Wait, Preempted, NotOperating)
COMMON = (SvmExit.NPF, SvmExit.IOIO, SvmExit.MSR, SvmExit.CPUID, SvmExit.HLT, SvmExit.IRET)
VALUES = (0, 1, 0x7F, 0x8000, 0xFFFF, 0xFEE0_0300, 0xFEE0_0FFC, 0xFFFF_FFFF, 1 << 47, (1 << 64) - 1)
MODES = ((0x10, 0, 0x9B), (0x11, 0, 0xC9B), (0x8000_0011, 0x500, 0xA9B), (0x8000_0011, 0, 0xC9B))
MSRS = (*Msr, *range(0x800, 0x840), 0x1234_5678)


def value(rng: random.Random) -> int:
    return rng.choice(VALUES) if rng.random() < 0.6 else rng.getrandbits(64)


def step(rng: random.Random, guest: Guest):
    """A random exit from a random state."""
    code = rng.choice(COMMON) if rng.random() < 0.8 else rng.choice(tuple(SvmExit))
    if code in (SvmExit.INVALID, SvmExit.BUSY, SvmExit.IDLE_REQUIRED, SvmExit.INVALID_PMC):
        code = SvmExit.NPF
    if code == SvmExit.IRET and not guest.cpu.nmi_blocked:
        code = SvmExit.NPF
    info1, info2 = rng.getrandbits(32), value(rng)
    if code == SvmExit.NPF:
        info1 = rng.getrandbits(5) | rng.choice((NpfInfo.FINAL, NpfInfo.FINAL, NpfInfo.GUEST_TABLE))
        info1 &= ~NpfInfo.RSV
    elif code == SvmExit.MSR:
        info1 &= 1
    length = rng.randrange(1, 16) if EXIT_INFO[code].nrip else 0
    gr = {n: value(rng) for n in range(16)}
    if code == SvmExit.MSR:
        gr[1] = rng.choice(MSRS)
    cr0, efer, attributes = rng.choice(MODES)

    def change(host: FakeHost, block: Vmcb) -> None:
        save = block.save
        save.cr0, save.cr4, save.cr3 = cr0, rng.choice((0, 0x20, 0x30)), rng.getrandbits(22)
        save.efer = efer | 0x1000
        save.cs.attrib = attributes
        save.cpl = rng.choice((0, 3))
        save.rip = value(rng) if efer else value(rng) & 0xFFFF_0000
        save.rflags = 2 | rng.getrandbits(18) & ~(1 << 17)
        for name in SEGMENT_NAMES:
            part = getattr(save, name)
            part.base, part.limit = value(rng), rng.getrandbits(32)
            if name != "cs":
                part.attrib = rng.getrandbits(12)
        block.control.insn_len = rng.choice((0, 2, 7, 15))
        block.control.insn_bytes = bytes(rng.choice(OPCODES)) + rng.randbytes(12)
        leave(code, int(info1), info2, length, gr)(host, block)
        block.control.v_tpr = rng.getrandbits(4)

    if rng.random() < 0.1:
        return interrupted(change, event(rng.choice((EventType.INTR, EventType.NMI)), 0x51))
    return change


OPCODES = (b"\x89\x03\x90", b"\xf3\xa5\x90", b"\x8b\x43\x10", b"\x0f\xba\x2b", b"\xff\x33\x90",
           b"\x48\xab\x90", b"\x0f\xb1\x0b", b"\xa3\x00\x00", b"\x67\x8f\x03")  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_random_exits_end_in_a_typed_way(seed: int) -> None:
    rng = random.Random(seed)
    guest = Guest(cpus=2, model="epyc-milan")
    cpu = guest.cpu
    cpu.lapic.write(ApicRegister.SVR, int(Svr.ASE) | 0xFF)
    guest.vm.memory.write(0, rng.randbytes(1 << 20))
    for name in SEGMENT_NAMES:
        guest.backend.setdesc(cpu, name, SegmentState(0, 0, 0xFFFF_FFFF, 0xC93))
    for _ in range(1200):
        guest.host.script.clear()
        guest.script(step(rng, guest))
        end = guest.run()
        assert isinstance(end, ENDS)
        while isinstance(end, ToMachine) and cpu.completion is not None:
            if rng.random() < 0.5:
                cpu.answer(rng.getrandbits(64))
            guest.host.script.clear()
            end = guest.run()
            assert isinstance(end, ENDS)
        stuck = isinstance(end, (Stopped, NotOperating, Wait))
        if stuck or (isinstance(end, ToMachine) and isinstance(end.request, UnclaimedExit)):
            guest.vm.reset()
            cpu.lapic.write(ApicRegister.SVR, int(Svr.ASE) | 0xFF)
        if rng.random() < 0.1:
            guest.vm.deliver(rng.choice((0, 1, 0xFF)), rng.random() < 0.5, rng.choice((0, 1, 4)),
                             rng.randrange(256), True, rng.random() < 0.5)  # fmt: skip
    assert len(guest.vm.decoded._known[2]) <= 1024
