"""The same exits by Unicorn's hooks in Python: it stops at the instruction, calls, and goes on."""

import time
from collections.abc import Callable
from typing import Any

from worldswitch.lab.bench.measure import MeasureError
from worldswitch.lab.bench.x86.compiled_handler import DEVICE
from worldswitch.lab.bench.x86.image import ORIGIN, program

MEMORY = 16 << 20
STACK = 0x70000
PAGE = 0x1000
MISSING = {"RDMSR": "Unicorn has no hook for RDMSR"}
"""By the kind of exit: why there is no figure."""


def _at_cpuid(uc: Any, state: list[int]) -> int:
    from unicorn.x86_const import UC_X86_REG_EAX, UC_X86_REG_EBX, UC_X86_REG_ECX, UC_X86_REG_EDX

    for register in (UC_X86_REG_EAX, UC_X86_REG_EBX, UC_X86_REG_ECX, UC_X86_REG_EDX):
        uc.reg_write(register, 0)
    state[0] += 1
    return 1  # the hook has done what the instruction does


def _at_in(uc: Any, port: int, size: int, state: list[int]) -> int:
    state[0] += 1
    return 0


def _at_read(uc: Any, offset: int, size: int, state: list[int]) -> int:
    state[0] += 1
    return 0


def _prepared(kind: str, state: list[int]) -> Any:
    from unicorn.unicorn import Uc
    from unicorn.unicorn_const import UC_ARCH_X86, UC_HOOK_INSN, UC_MODE_64
    from unicorn.x86_const import UC_X86_INS_CPUID, UC_X86_INS_IN

    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(0, MEMORY)
    if kind == "CPUID":
        uc.hook_add(UC_HOOK_INSN, _at_cpuid, state, 1, 0, UC_X86_INS_CPUID)
    elif kind == "port I/O":
        uc.hook_add(UC_HOOK_INSN, _at_in, state, 1, 0, UC_X86_INS_IN)
    elif kind == "MMIO":
        uc.mmio_map(DEVICE, PAGE, _at_read, state, None, None)
    return uc


def unicorn(name: str, kind: str, instruction: str, exits: int) -> Callable[[], float]:
    """Thousands of exits per CPU second, as our side measures them.

    HLT has no hook: it ends the run, and the next one begins behind it.
    """
    from unicorn.unicorn import UcError
    from unicorn.x86_const import (
        UC_X86_REG_R10,
        UC_X86_REG_R11,
        UC_X86_REG_RDI,
        UC_X86_REG_RIP,
        UC_X86_REG_RSP,
    )

    made = program(name, instruction)
    trip, end = made.symbols["trip"], made.symbols["finish"]

    def measure() -> float:
        state = [0]
        try:
            uc = _prepared(kind, state)
            uc.mem_write(ORIGIN, made.text)
            uc.reg_write(UC_X86_REG_R10, exits)
            uc.reg_write(UC_X86_REG_RDI, DEVICE)
            uc.reg_write(UC_X86_REG_RSP, STACK)
            where = trip
            began = time.process_time()
            while True:
                uc.emu_start(where, end)
                where = uc.reg_read(UC_X86_REG_RIP)
                if where == end:
                    break
                state[0] += 1
            seconds = time.process_time() - began
            counted = uc.reg_read(UC_X86_REG_R11)
        except UcError as error:
            raise MeasureError(f"Unicorn: {error}") from None
        if counted != exits or state[0] != exits:
            raise MeasureError(f"Unicorn left {state[0]} times, not {exits}")
        return exits / seconds / 1e3

    return measure
