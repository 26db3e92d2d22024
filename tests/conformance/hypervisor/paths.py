"""The paths through the hypervisor that guest programs must reach, and which test reaches which.

A test names what it reaches with `covers`; test_paths.py shows what no test reaches.
"""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., None])

SEED: dict[str, str] = {
    "length/instruction": "length of an intercepted instruction from its opcode",
    "length/execute": "length of the EXECUTE that led to it",
    "length/execute-default": "an EXECUTE whose length the facility left out",
    "length/program": "length at a program interception",
    "stop/delayed": "an interruption is taken before the stop",
    "stop/not-pending": "a stop interception without a stop order",
    "stop/plain": "the CPU stops and the machine is told",
    "stop/store-status": "status is stored first",
    "stop/store-status-fails": "status cannot be stored",
    "stop/user-cpu-state": "the state is left to the machine",
    "validity/ends": "counted, traced, ends the CPU with a diagnosis",
    "validity/warns-once": "warned of once",
    "validity/runtime-instrumentation": "reason 0x44 does not warn",
    "instruction/01": "clock group",
    "instruction/82": "LPSW",
    "instruction/83": "DIAGNOSE",
    "instruction/aa": "runtime instrumentation",
    "instruction/ae": "SIGP",
    "instruction/b2": "control and I/O",
    "instruction/b6": "STCTL",
    "instruction/b7": "LCTL",
    "instruction/b9": "frames and keys",
    "instruction/e3": "guarded storage",
    "instruction/e5": "TPROT",
    "instruction/eb": "LCTLG, STCTG, runtime instrumentation",
    "instruction/unknown": "handed to the machine, an operation exception there",
    "program/teid": "codes with the translation-exception identification",
    "program/access-id": "codes with the exception access identification",
    "program/translation": "codes with both and the operand access identification",
    "program/monitor": "monitor event",
    "program/data": "data and vector-processing exceptions",
    "program/protection": "protection",
    "program/plain": "codes without parameters",
    "program/per": "a PER event merged in",
    "program/protected": "a protected guest's goes to the machine",
    "program/debug-filtered": "a PER event that only the debugger wanted",
    "program/debug-passed": "a PER event that the guest wants too",
    "program/loop": "specification with an invalid new PSW",
    "program/loop-unreadable": "the new PSW cannot be read",
    "program/itdb": "the transaction diagnostic block is restored and cleared",
    "program/itdb-off": "no transactional execution: no block is looked at",
    "program/itdb-invalid": "a block that is not valid stays",
    "program/no-rewind": "the PSW is not moved again",
    "external/clock-comparator": "clock comparator",
    "external/cpu-timer": "CPU timer",
    "external/timer-loop": "the new PSW enables external interruptions",
    "external/call": "external call",
    "external/call-busy": "another one is pending already",
    "external/other": "another code goes to the machine",
    "partial/move-page": "both pages mapped, instruction retried",
    "partial/move-page-source": "exception at the source",
    "partial/move-page-destination": "exception at the destination",
    "partial/move-page-outside": "a page outside storage",
    "partial/sigp": "external call made pending by the facility",
    "partial/sigp-other": "another order",
    "partial/other": "another instruction",
    "sthyi/no-facility": "operation exception",
    "sthyi/registers": "odd or equal registers",
    "sthyi/function": "condition code 3, return code 4",
    "sthyi/alignment": "address not on a page",
    "sthyi/stored": "the response page",
    "sthyi/access": "access exception",
    "sthyi/protected": "the response in the instruction data area",
    "operation/sthyi": "STHYI by opcode",
    "operation/instruction-0": "0000 is the machine's",
    "operation/unreadable": "the new PSW cannot be read",
    "operation/loop": "the new PSW leads back",
    "operation/window": "just outside the six bytes",
    "operation/wait": "the new PSW waits",
    "operation/problem-state": "the fault was the problem state's",
    "operation/space": "another address space",
    "operation/translation": "another DAT mode",
    "operation/injected": "an operation exception",
    "notification/prefix": "SPX of a protected guest",
    "notification/service-call": "SERVC: the signal is delivered after it, not before",
    "notification/unshare": "a page is unpinned and made secure",
    "notification/unpin-fails": "retried with the guest's next exit",
    "notification/other-call": "another Ultravisor call is warned of",
    "notification/instruction": "any other instruction",
    "dispatch/user-controlled": "everything is refused",
    "dispatch/external-request": "counted",
    "dispatch/io-request": "counted",
    "dispatch/instruction": "code 4",
    "dispatch/wait": "wait state",
    "dispatch/key-operation": "storage keys are turned on",
    "dispatch/machine-check-enabled": "delivered next",
    "dispatch/interruption-enabled": "delivered next",
    "dispatch/protected-instruction": "code 68",
    "dispatch/protected-prefix": "both prefix pages are made secure",
    "dispatch/protected-prefix-fails": "warned of",
    "dispatch/unknown": "refused",
    "dispatch/per-handled": "PER instruction fetch after a handled interception",
    "dispatch/per-machine": "and after one that the machine completes",
}
"""What the interception handler's own branches are."""

BEYOND: dict[str, str] = {}
"""What it calls, and what the specification asks for besides."""

PATHS = SEED | BEYOND


def covers(*names: str) -> Callable[[F], F]:
    """Decorator: the test reaches these paths."""
    for name in names:
        if name not in PATHS:
            raise KeyError(f"there is no path {name!r}")

    def same(test: F) -> F:
        return test

    return same


def covered() -> dict[str, list[str]]:
    """The tests that name each path, from the text of the modules beside this one."""
    found: dict[str, list[str]] = {}
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "covers":
                    for argument in decorator.args:
                        found.setdefault(ast.literal_eval(argument), []).append(node.name)
    return found
