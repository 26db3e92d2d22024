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

BEYOND: dict[str, str] = {
    "privilege/first": "privileged instructions in the problem state, before other checks",
    "privilege/handler": "the handler's own check of privilege",
    "operands/alignment": "specification exceptions",
    "operands/outside": "addressing exceptions",
    "operands/low-address-protection": "stores of handlers into the lowcore",
    "operands/key": "stores of handlers against the key",
    "operands/address-mode": "24- and 31-bit addresses",
    "operands/access-register": "spaces that access registers designate",
    "01/sckpf": "SCKPF",
    "01/ptff": "PTFF",
    "82/loaded": "LPSW",
    "82/invalid": "LPSW of an invalid PSW",
    "control-registers/short": "LCTL and STCTL",
    "control-registers/long": "LCTLG and STCTG",
    "control-registers/unaligned": "their alignment",
    "facility/absent": "instructions of facilities that the guest does not have",
    "facility/enabled": "facilities that are turned on when first used",
    "b2/identity": "STIDP, STAP, STFL",
    "b2/clock": "SCK",
    "b2/timers": "SCKC and SPT",
    "b2/purge": "PTLB",
    "b2/prefix": "SPX and STPX",
    "b2/prefix-outside": "SPX outside storage",
    "b2/service-call": "SERVC to the machine",
    "b2/service-call-checks": "its checks",
    "b2/test-block": "TB",
    "b2/test-block-outside": "TB outside storage",
    "b2/system-information-level": "STSI level 0",
    "b2/system-information": "STSI of a level that the machine answers",
    "b2/system-information-absent": "STSI of a level that is not there",
    "b2/system-information-reserved": "STSI with reserved bits",
    "b2/interlock": "instructions that need the IPTE interlock",
    "b2/sthyi": "STHYI as an instruction interception",
    "b2/lpswe-invalid": "LPSWE of an invalid PSW",
    "b2/keys": "ISKE, RRBE and SSKE where the facility does not interpret them",
    "b2/keys-retried": "and where it does",
    "b2/keys-conditional": "conditional SSKE",
    "b2/keys-multiple": "SSKE of several blocks",
    "io/tpi": "TPI",
    "io/tpi-lowcore": "TPI into the lowcore",
    "io/tpi-none": "TPI with nothing pending",
    "io/tpi-access": "TPI that cannot store",
    "io/machine": "I/O instructions to the machine",
    "io/tsch": "TSCH takes the interruption",
    "io/no-channel-subsystem": "nothing operational",
    "io/chsc": "CHSC",
    "io/siga": "SIGA",
    "b9/epsw": "EPSW",
    "b9/topology": "PTF",
    "b9/topology-checks": "its checks",
    "b9/essa-absent": "ESSA without memory management",
    "b9/essa": "ESSA",
    "b9/essa-reserved": "ESSA of a reserved order",
    "b9/pfmf": "PFMF of one frame",
    "b9/pfmf-megabyte": "PFMF of a megabyte",
    "b9/pfmf-checks": "its checks",
    "e5/tprot": "TPROT",
    "diagnose/release": "10: pages given back",
    "diagnose/release-checks": "its checks",
    "diagnose/yield": "44",
    "diagnose/directed-yield": "9C",
    "diagnose/directed-yield-ignored": "9C of a CPU that cannot run",
    "diagnose/handshake": "258",
    "diagnose/handshake-checks": "its checks",
    "diagnose/ipl": "308 subcodes 3 and 4",
    "diagnose/ipl-machine": "308 subcodes of the machine",
    "diagnose/hypercall": "500",
    "diagnose/other": "any other code",
    "sigp/sense": "SENSE",
    "sigp/external-call": "EXTERNAL CALL",
    "sigp/emergency-signal": "EMERGENCY SIGNAL",
    "sigp/conditional-emergency-signal": "CONDITIONAL EMERGENCY SIGNAL",
    "sigp/start": "START",
    "sigp/restart": "RESTART",
    "sigp/stop": "STOP",
    "sigp/resets": "INITIAL CPU RESET and CPU RESET",
    "sigp/set-prefix": "SET PREFIX",
    "sigp/store-status": "STORE STATUS AT ADDRESS",
    "sigp/running": "SENSE RUNNING STATUS",
    "sigp/architecture": "SET ARCHITECTURE",
    "sigp/unknown": "another order",
    "sigp/not-operational": "no such CPU",
    "sigp/busy": "a stop is pending",
    "sigp/user": "orders that are the machine's",
    "interruptions/priority": "one after the other, the highest first",
    "interruptions/masked": "what is not enabled stays pending",
    "interruptions/floating": "the first CPU that enables it",
    "interruptions/machine-check": "machine checks store registers",
    "interruptions/malfunction-alert": "malfunction alert and interrupt key",
    "interruptions/io-subclass": "subclass masks and order of I/O interruptions",
    "interruptions/cp-service": "control-program interruptions",
    "timers/wait": "a waiting CPU wakes at its clock comparator or CPU timer",
    "timers/cpu-timer-waits": "the CPU timer runs while the CPU waits",
    "timers/loop": "a timer whose new PSW enables it again",
    "fault/mapped": "host faults fill in the tables",
    "fault/outside": "storage that the guest does not have",
    "fault/instruction": "an instruction that lies there",
    "debug/step": "single steps",
    "debug/step-emulated": "single steps over instructions that the hypervisor completes",
    "debug/breakpoint": "breakpoints",
    "debug/watchpoint": "watchpoints",
    "debug/guest-per": "a guest that uses PER itself",
    "protected/system-information": "STSI by way of the instruction data area",
    "protected/stop-and-start": "CPU states that the Ultravisor must know of",
    "protected/parameters": "DIAGNOSE 308 subcodes 8 to 10",
    "protected/refused": "an image that is not genuine",
    "protected/error": "an Ultravisor call that fails",
    "debug/machine": "the machine around it: run to a breakpoint, step, go on",
    "hosts/registers": "registers of a CPU that moves between physical processors",
    "hosts/translations": "its translations, and those of other processors that it purges",
    "hosts/clocks": "its clocks and timers",
    "hosts/interruptions": "what is pending for it",
    "hooks/observe": "a hook that looks",
    "hooks/take-over": "a hook in the handler's place",
    "hooks/change": "a hook that changes state",
    "statistics/counted": "exits and counters",
    "statistics/repeatable": "the same run, the same table",
    "trace/events": "what the sink is told",
}
"""What it calls, and what the specification asks for besides."""

PATHS = SEED | BEYOND


def covers_of(paths: dict[str, str]) -> Callable[..., Callable[[F], F]]:
    """The decorator `covers` for a table of paths: the test reaches these."""

    def covers(*names: str) -> Callable[[F], F]:
        for name in names:
            if name not in paths:
                raise KeyError(f"there is no path {name!r}")

        def same(test: F) -> F:
            return test

        return same

    return covers


covers = covers_of(PATHS)


def covered(directory: Path = Path(__file__).parent) -> dict[str, list[str]]:
    """The tests that name each path, from the text of the modules in a directory."""
    found: dict[str, list[str]] = {}
    for file in sorted(directory.glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "covers":
                    for argument in decorator.args:
                        found.setdefault(ast.literal_eval(argument), []).append(node.name)
    return found
