"""The program that runs a batch of cases: on the host's own processor, and on the emulator.

It loads a case's registers, jumps to its instruction, and stores what the instruction left. Faults
come to `handler` as signals do; on the emulator, to Python. A case of 32-bit code is entered and
left by far jumps.
"""

from dataclasses import dataclass
from functools import cache

from tests.semantics.x86.oracle.layout import (
    BACK,
    CASES,
    CR2,
    CS32,
    CS64,
    DEFAULT,
    DRIVER,
    EPILOGUE,
    ERROR,
    FAR32,
    FX,
    HOST_STACK,
    KEPT,
    LEFT,
    NEXT,
    RESULT,
    RESULTS,
    RFLAGS,
    RIP,
    SCRATCH_STACK,
    SS,
    STATE,
    TAKEN,
    TARGET,
    VARS,
    VECTOR,
)
from worldswitch.lab.x86_assembler import assemble

REGISTERS = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
CALLEE = ("rbx", "rbp", "r12", "r13", "r14", "r15")
SIGNAL_FRAME = dict(
    zip(
        ["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx",
         "rax", "rcx", "rsp", "rip", "rflags", "segments", "error", "trap", "mask", "cr2"],
        range(40, 40 + 8 * 23, 8), strict=True,
    )
)  # fmt: skip
"""Offsets in Linux's `ucontext`."""
FLOAT_POINTER = 224
SIGRETURN = 15
CLEAN_FLAGS = 0x202
PAGE_FAULT = 14


def _variable(address: int) -> str:
    return f"qword ptr [{address}]"


def source(narrow: bool) -> str:
    """The driver for 64-bit or for 32-bit cases."""
    lines = ["start:", *(f"push {name}" for name in CALLEE)]
    lines += [f"mov {_variable(HOST_STACK)}, rsp"]
    if narrow:
        lines += [f"mov eax, {SS}", "mov ds, eax", "mov es, eax"]
    lines += ["next:", f"mov rax, {_variable(NEXT)}", f"fxrstor64 [rax + {FX}]"]
    lines += [f"mov rcx, [rax + {RIP}]", f"mov {_variable(TARGET)}, rcx"]
    lines += [f"mov dword ptr [{TARGET + 4}], {CS32}"] if narrow else []
    lines += [f"mov esp, {SCRATCH_STACK}", f"push qword ptr [rax + {RFLAGS}]"]
    lines += [
        f"mov {name}, [rax + {8 * n}]"
        for n, name in enumerate(REGISTERS)
        if name not in ("rax", "rsp")
    ]
    lines += ["popfq", "mov rsp, [rax + 32]", "mov rax, [rax]", "enter:"]
    lines += [f"jmp fword ptr [{TARGET}]" if narrow else f"jmp {_variable(TARGET)}"]
    lines += ["epilogue:", f"mov {_variable(KEPT)}, rax", f"mov rax, {_variable(RESULT)}"]
    lines += [f"mov [rax + {8 * n}], {name}" for n, name in enumerate(REGISTERS) if name != "rax"]
    lines += [f"mov rcx, {_variable(KEPT)}", "mov [rax], rcx"]
    lines += [f"mov esp, {SCRATCH_STACK}", "pushfq", f"pop qword ptr [rax + {RFLAGS}]"]
    lines += [f"fxsave64 [rax + {FX}]"]
    lines += ["advance:", "push 2", "popfq"]
    lines += [f"add {_variable(NEXT)}, {STATE}", f"add {_variable(RESULT)}, {STATE}"]
    lines += [f"dec {_variable(LEFT)}", "jnz next"]
    lines += [f"mov rsp, {_variable(HOST_STACK)}"]
    if narrow:
        lines += ["xor eax, eax", "mov ds, eax", "mov es, eax"]
    lines += ["fninit", f"ldmxcsr [{DEFAULT}]"]
    lines += [f"pop {name}" for name in reversed(CALLEE)] + ["end:", "ret"]
    return "\n".join([*lines, *_handler()])


def _handler() -> list[str]:
    """The signal handler: the interrupted case's state becomes its result, and on it goes."""
    lines = ["handler:", f"mov rax, {_variable(RESULT)}"]
    wanted = {name: 8 * n for n, name in enumerate(REGISTERS)}
    wanted |= {"rflags": RFLAGS, "rip": RIP, "error": ERROR, "trap": VECTOR}
    for name, to in wanted.items():
        lines += [f"mov rcx, [rdx + {SIGNAL_FRAME[name]}]", f"mov [rax + {to}], rcx"]
    lines += ["mov r8d, 0", f"cmp ecx, {PAGE_FAULT}"]
    lines += [f"cmove r8, [rdx + {SIGNAL_FRAME['cr2']}]", f"mov [rax + {CR2}], r8"]
    lines += [f"or qword ptr [rax + {VECTOR}], {TAKEN}"]
    lines += [f"mov rsi, [rdx + {FLOAT_POINTER}]", f"lea rdi, [rax + {FX}]", "mov ecx, 512"]
    lines += ["rep movsb", "lea rcx, [rip + advance]"]
    lines += [f"mov [rdx + {SIGNAL_FRAME['rip']}], rcx"]
    lines += [f"mov qword ptr [rdx + {SIGNAL_FRAME['rflags']}], {CLEAN_FLAGS}"]
    lines += [f"mov qword ptr [rdx + {SIGNAL_FRAME['rsp']}], {SCRATCH_STACK}"]
    lines += [f"mov word ptr [rdx + {SIGNAL_FRAME['segments']}], {CS64}", "ret"]
    return [*lines, "restorer:", f"mov eax, {SIGRETURN}", "syscall"]


@dataclass(frozen=True)
class Driver:
    """Its text, which goes to DRIVER, and the addresses of its labels."""

    text: bytes
    labels: dict[str, int]
    variables: bytes
    """Contents of VARS before a run, but for LEFT."""
    back: bytes
    """What stands at BACK."""


@cache
def driver(narrow: bool) -> Driver:
    """The driver for a kind of code."""
    program = assemble(f".intel_syntax noprefix\n{source(narrow)}", DRIVER)
    labels = program.symbols
    variables = bytearray(FAR32 + 8 - VARS)
    for where, value in (
        (NEXT, CASES),
        (RESULT, RESULTS),
        (EPILOGUE, labels["epilogue"]),
        (DEFAULT, 0x1F80),
    ):
        variables[where - VARS : where - VARS + 8] = value.to_bytes(8, "little")
    if narrow:
        # 32-bit cases leave through this pointer.
        variables[EPILOGUE - VARS : EPILOGUE - VARS + 4] = BACK.to_bytes(4, "little")
    back = b"\xea" + labels["epilogue"].to_bytes(4, "little") + CS64.to_bytes(2, "little")
    return Driver(program.text, labels, bytes(variables), back)


def way_out(narrow: bool) -> bytes:
    """The jump that stands behind an instruction: through EPILOGUE, changing nothing."""
    return (b"\xff\x25" if narrow else b"\xff\x24\x25") + EPILOGUE.to_bytes(4, "little")
