"""A world switch: exit to a Python handler that reads one register and writes three, and back."""

import time
from collections.abc import Callable
from typing import Any

from worldswitch.arch.s390x.sie_controls import CpuStat, Icpt
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.lab.bench.compiled_handler import handle
from worldswitch.lab.bench.image import ORIGIN, PSW_64, program
from worldswitch.lab.bench.loop import UNICORN, unicorn_missing
from worldswitch.lab.bench.measure import MeasureError
from worldswitch.lab.bench.rows import OURS, Budget, Row
from worldswitch.machine.s390x.modelled import modelled_cpu
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.s390x.host import Host
from worldswitch.metal.s390x.processor import AFP_RESET_CR0, CR14_RESET, Complex
from worldswitch.metal.s390x.storage import Storage

NAME = "world_switch"
STORAGE = 64 << 20
GUEST = 0x10_0000
GUEST_LIMIT = GUEST + 0xF_FFFF
BLOCK = 0x8000
SWITCHES = 50_000
GUEST_INSTRUCTIONS = 2
"""What the guest executes from one exit to the next."""


def state_description(storage: Storage, address: int) -> StateDescription:
    """A minimal guest of one megabyte at `GUEST`, about to execute at `ORIGIN`."""
    storage.write(address, bytes(512))
    block = StateDescription(storage.view[address : address + 512])
    block.cpuflags = CpuStat.ZARCH
    block.mso, block.msl = GUEST, GUEST_LIMIT
    block.ckc = 2**64 - 1
    block.cputm = 2**62
    block.gpsw_mask, block.gpsw_addr = PSW_64, ORIGIN
    block.gcr[0], block.gcr[14] = AFP_RESET_CR0, CR14_RESET
    block.ihcpu = 0xFFFF
    return block


def _host() -> tuple[Host, StateDescription]:
    storage = Storage(STORAGE)
    host = Host(Complex(storage, modelled_cpu("z14")).processors[0])
    host.cr[1] = 0x20  # real-space: host virtual is host absolute
    storage.write(GUEST + ORIGIN, program(NAME).text)
    return host, state_description(storage, BLOCK)


def _ours(switches: int) -> Callable[[], float]:
    host, block = _host()
    gr = host.gr

    def handle() -> None:
        if block.icptcode != Icpt.INST:
            raise MeasureError(f"the guest left with interception {block.icptcode}")
        value = gr[1] + 1
        gr[1] = gr[2] = gr[3] = value & 0xFFFF

    def run() -> float:
        gr[1] = 0
        began = time.process_time()
        done = 0
        while done < switches:
            result = host.sie(BLOCK)
            if result is EntryResult.EXIT:
                handle()
                done += 1
            elif result is not EntryResult.PREEMPTED:
                raise MeasureError(f"SIE ended with {result.value}")
        return (time.process_time() - began) / switches * 1e6

    return run


def _ours_compiled(switches: int) -> Callable[[], float]:
    host, _ = _host()
    host.handle_natively(handle)

    def run() -> float:
        start = host.processor.icount
        host.time_slice = switches * GUEST_INSTRUCTIONS
        began = time.process_time()
        if host.sie(BLOCK) is not EntryResult.PREEMPTED:
            raise MeasureError("the compiled handler let an exit through")
        seconds = time.process_time() - began
        return seconds / ((host.processor.icount - start) / GUEST_INSTRUCTIONS) * 1e6

    return run


def _unicorn(switches: int) -> Callable[[], float]:
    from unicorn.s390x_const import UC_S390X_REG_R1, UC_S390X_REG_R2, UC_S390X_REG_R3
    from unicorn.unicorn import Uc, UcError
    from unicorn.unicorn_const import UC_ARCH_S390X, UC_HOOK_CODE, UC_MODE_BIG_ENDIAN

    def handle(uc: Any, address: int, size: int, state: list[int]) -> None:
        value = (uc.reg_read(UC_S390X_REG_R1) + 1) & 0xFFFF
        for register in (UC_S390X_REG_R1, UC_S390X_REG_R2, UC_S390X_REG_R3):
            uc.reg_write(register, value)
        state[0] += 1
        if state[0] >= switches:
            uc.emu_stop()

    def run() -> float:
        try:
            uc = Uc(UC_ARCH_S390X, UC_MODE_BIG_ENDIAN)
            uc.mem_map(0, GUEST)
            # The hooked instruction does nothing: Unicorn has no host for DIAGNOSE to leave to.
            uc.mem_write(ORIGIN, bytes.fromhex("47000000") + program(NAME).text[4:])
            state = [0]
            uc.hook_add(UC_HOOK_CODE, handle, state, ORIGIN, ORIGIN)
            began = time.process_time()
            uc.emu_start(ORIGIN, 0)
            seconds = time.process_time() - began
        except UcError as error:
            raise MeasureError(f"Unicorn: {error}") from None
        if state[0] != switches:
            raise MeasureError(f"the hook ran {state[0]} times, not {switches}")
        return seconds / switches * 1e6

    return run


def rows(quick: bool) -> list[Row]:
    """The rows of the world switch."""
    switches = SWITCHES // 10 if quick else SWITCHES
    row = Row(
        "switch",
        "world switch to a Python handler and back",
        "us",
        Budget(3.0, text="3 us"),
        {OURS: _ours(switches)},
    )
    if why := unicorn_missing():
        row.missing[UNICORN] = why
    else:
        row.sides[UNICORN] = _unicorn(switches)
    compiled = Row(
        "switch",
        "world switch to a compiled handler and back",
        "us",
        Budget(0.3, text="0.3 us"),
        {OURS: _ours_compiled(20 * switches)},
    )
    return [row, compiled]
