"""Random guests under the hypervisor: whatever they execute, a run ends with an outcome.

The programs are mostly intercepted instructions with random operands; registers, tables, new PSWs
and pending interruptions are random too. A seed makes the same guest each time.
"""

import random

import pytest

from tests.guests.hypervisor_guest import (
    CAUGHT,
    NEW_PSWS,
    PROBLEM,
    PROGRAM,
    PSW_64,
    HypervisorGuest,
)
from worldswitch.hypervisor.outcome import Stopped, ToMachine
from worldswitch.hypervisor.sie.debug import GuestDebug
from worldswitch.hypervisor.sie.events import (
    BusyError,
    CpService,
    EmergencySignal,
    ExternalCall,
    InterruptKey,
    IoEvent,
    MachineCheck,
    ProgramEvent,
    Restart,
    ServiceSignal,
    SetPrefix,
    Stop,
)
from worldswitch.hypervisor.sie.instructions.groups import GROUPS
from worldswitch.hypervisor.sie.options import Options

GUESTS = 25
"""For each seed."""
RUNS = 40
SLICE = 20_000
OPCODES = [(first, code) for first, (group, _) in GROUPS.items() for code in group.table.codes()]
OTHERS = (0xB2, 0xB9, 0xE5, 0xEB, 0x83, 0xAE, 0x80, 0xAC, 0xAD, 0x0A, 0x44)
VALUES = (0, 1, 2, 3, 0x1000, 0x8000, 0x9008, 0x8004, 0x20_0000, 0x1F_FFF8, 0x7FFF_F000, 1 << 63)
DAT, PER, EXTERNAL_AND_IO = 1 << 58, 1 << 62, 3 << 56
MODES = (
    PSW_64, PSW_64, PSW_64 | PROBLEM, PSW_64 | DAT, PSW_64 | DAT | 1 << 47, 0x8000_0000,
    PSW_64 | PER, PSW_64 | EXTERNAL_AND_IO,
)  # fmt: skip


def instruction(r: random.Random) -> bytes:
    """One instruction, mostly of an opcode that has a handler."""
    first, code = r.choice(OPCODES)
    text = bytearray([first]) + r.randbytes(5)
    if r.random() < 0.1:
        text[0] = r.choice(OTHERS)
    elif first in (0xE3, 0xEB):
        text[5] = code
    elif first == 0xAA:
        text[1] = text[1] & 0xF0 | code
    elif first in (0x01, 0xB2, 0xB9, 0xE5):
        text[1] = code
    if r.random() < 0.7:
        text[3] &= 0xF8
    return bytes(text[: 2 if text[0] < 0x40 else 4 if text[0] < 0xC0 else 6])


def value(r: random.Random) -> int:
    """A register's content."""
    return r.choice((*VALUES, r.getrandbits(64), r.getrandbits(32), r.getrandbits(16)))


def fill(guest: HypervisorGuest, r: random.Random) -> None:
    """Give the guest random registers, text, tables and new PSWs."""
    for cpu in guest.vm.vcpus:
        cpu.failed = None
        cpu.reset(clear=True)
        for n in range(16):
            cpu.gr[n] = value(r)
            if r.random() < 0.2:
                cpu.sd.gcr[n] = value(r)
        cpu.sd.gcr[0] = 0xE0 | r.getrandbits(32)
        cpu.sd.gcr[1] = r.choice((0x6000, 0x20, 0x6008, r.getrandbits(64)))
        cpu.psw = r.choice(MODES), PROGRAM
    text = b"".join(instruction(r) for _ in range(12))
    guest.vm.memory.write(PROGRAM, text.ljust(4096, b"\0"))
    for at in range(0x6000, 0x6800, 8):
        guest.store(at, r.choice((0x20, 0x7000, 0x7C00 | 0x400, r.getrandbits(64))))
        page = (at - 0x6000) // 8 << 12
        guest.store(at + 0x1000, r.choice((page, page, page, 0x400, 0x200, r.getrandbits(32))))
    for where in NEW_PSWS.values():
        guest.store(where, r.choice((PSW_64, PSW_64, PSW_64, r.getrandbits(64))))
        guest.store(
            where + 8, r.choice((PROGRAM + r.randrange(0, 40, 2), CAUGHT, r.getrandbits(20)))
        )


def disturb(guest: HypervisorGuest, r: random.Random) -> None:
    """Make interruptions pending; sometimes debug the guest."""
    guest.vm.floating.clear_all()
    word = r.getrandbits(32)
    floating = (
        ServiceSignal(word), IoEvent(1, r.randrange(3), word, r.getrandbits(32)),
        MachineCheck(r.getrandbits(64), word), CpService(word, r.getrandbits(64)),
    )  # fmt: skip
    local = (
        ExternalCall(1), EmergencySignal(1), InterruptKey(), Restart(), SetPrefix(0x8000),
        SetPrefix(0x7000_0000), Stop(r.random() < 0.5), ProgramEvent(r.choice((1, 4, 0x10, 0x84))),
        MachineCheck(r.getrandbits(64), word),
    )  # fmt: skip
    for _ in range(r.randrange(4)):
        guest.vm.inject(r.choice(floating))
    for _ in range(r.randrange(3)):
        try:
            guest.cpu.inject(r.choice(local))
        except BusyError:
            continue
    guest.cpu.debug = None
    if r.random() < 0.2:
        step, at = r.random() < 0.5, PROGRAM + r.randrange(0, 40, 2)
        guest.cpu.debug = GuestDebug(single_step=step, breakpoints={at})
        guest.cpu.debug.watch(guest.cpu, value(r), 8)


@pytest.mark.parametrize("seed", range(6))
def test_random_guest_ends_each_run_with_an_outcome(seed: int) -> None:
    r = random.Random(seed)
    options = Options(
        cmma=seed % 2 == 0,
        css_support=seed % 3 != 0,
        sigp_interpretation=seed % 2 == 1,
        external_interpretation=seed % 3 != 1,
        user_sigp=seed == 4,
    )
    guest = HypervisorGuest("loop: j loop", cpus=2, options=options)
    host = guest.machine.host
    for _ in range(GUESTS):
        fill(guest, r)
        disturb(guest, r)
        guest.cpu.start()
        for turn in range(RUNS):
            cpu = guest.vm.vcpus[turn % 5 == 4]
            if not cpu.runnable():
                continue
            host.deadline = host.processor.icount + SLICE
            end = guest.backend.run(cpu, host)
            if isinstance(end, ToMachine):
                guest.machine.answer(cpu, end.request)
            elif isinstance(end, Stopped):
                assert end.diagnosis
                break
