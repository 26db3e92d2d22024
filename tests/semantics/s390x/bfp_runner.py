"""Run one floating-point instruction on many operands: natively, as plain Python, in Unicorn.

A guest program loads FPC, registers and the instruction's operands from a table of cases, executes
the instruction and stores what it left, a program interruption included. The native engine and
Unicorn run that program; plain Python calls the instruction's function.
"""

import struct
from dataclasses import dataclass, replace
from functools import cache

import unicorn

from tests.semantics.bench import PSW_64, Bench
from worldswitch.arch.s390x.models import cpu_model
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.metal.s390x.assembler import assemble
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.processor import Complex, Processor
from worldswitch.metal.s390x.storage import Storage

CODE = 0x1000
CASES = 0x10000
RESULTS = 0x200000
BATCH = 8000
CR0_AFP = 1 << 18
INITIAL_CC = 2
PROGRAM = """
        lctlg %c0,%c0,controls
        larl %r2,table
        lg %r3,8(%r2)
        lg %r4,16(%r2)
        lg %r2,0(%r2)
loop:   lfpc 0(%r2)
        ld %f0,8(%r2)
        ld %f2,16(%r2)
        ld %f4,24(%r2)
        ld %f6,32(%r2)
        ld %f8,40(%r2)
        ld %f10,48(%r2)
        lg %r6,56(%r2)
        ltgr %r4,%r4
        INSTRUCTION
        ipm %r7
        lghi %r8,0
        lghi %r9,0
result: std %f0,0(%r3)
        std %f2,8(%r3)
        std %f8,16(%r3)
        std %f10,24(%r3)
        stg %r6,32(%r3)
        st %r7,40(%r3)
        st %r8,44(%r3)
        st %r9,48(%r3)
        stfpc 52(%r3)
        aghi %r2,64
        aghi %r3,56
        brctg %r4,loop
        .insn 83000fff
handler: lg %r7,0x150
        srlg %r7,%r7,16
        llgh %r8,0x8e
        l %r9,0x90
        j result
        .align 8
controls: .quad 0x400e0
table:  .quad 0x10000
        .quad 0x200000
        .quad COUNT
"""


@dataclass(frozen=True)
class Case:
    """What the instruction finds: FPC, F0/F2, F4/F6, F8/F10, R6; F4 is also at 24(%r2)."""

    fpc: int
    a: int = 0
    b: int = 0
    c: int = 0
    integer: int = 0

    def pack(self) -> bytes:
        """The case as the guest reads it."""
        images = b"".join(x.to_bytes(16, "big") for x in (self.a, self.b, self.c))
        return struct.pack(">II", self.fpc, 0) + images + struct.pack(">Q", self.integer)


@dataclass(frozen=True)
class Left:
    """What it leaves; `fpc` without the data-exception code, which is `dxc`."""

    a: int
    c: int
    integer: int
    cc: int
    code: int
    dxc: int
    fpc: int


def program(instruction: str, count: int) -> tuple[bytes, dict[str, int]]:
    """The guest program and its labels."""
    text = PROGRAM.replace("INSTRUCTION", instruction).replace("COUNT", str(count))
    made = assemble(text, CODE)
    return made.text, made.labels


def unpack(data: bytes) -> Left:
    """A stored result."""
    a, a2, c, c2, integer, cc, code, dxc, fpc = struct.unpack(">QQQQQIIII", data)
    if code != ProgramCode.DATA:
        dxc = 0
    assert fpc >> 8 & 0xFF == dxc, "the FPC has the data-exception code as storage has"
    fpc &= 0xFFFF_00FF
    return Left(a << 64 | a2, c << 64 | c2, integer, cc >> 28 & 3, code, dxc, fpc)


@cache
def native_processor() -> Processor:
    """One compiled processor for all tests, with all facilities."""
    model = replace(cpu_model("z14"), facilities=frozenset(range(256)))
    processor = Complex(Storage(4 << 20), model, 1, "native").processors[0]
    processor.raw.running = 1
    return processor


def native(instruction: str, cases: list[Case]) -> list[Left]:
    """Run compiled."""
    out: list[Left] = []
    processor = native_processor()
    storage = processor.complex.storage
    for start in range(0, len(cases), BATCH):
        part = cases[start : start + BATCH]
        text, labels = program(instruction, len(part))
        storage.write(CODE, text)
        storage.write(CASES, b"".join(case.pack() for case in part))
        storage.write(0x1D0, struct.pack(">QQ", PSW_64, labels["handler"]))
        processor.call("purge_all")
        processor.psw = (PSW_64, CODE)
        reason = processor.run(100 * len(part) + 1000)
        assert (reason, processor.raw.exit_args[0]) == (Exit.DIAGNOSE, 0xFFF)
        data = storage.read(RESULTS, 56 * len(part))
        out += [unpack(data[i : i + 56]) for i in range(0, len(data), 56)]
    return out


@cache
def bench() -> Bench:
    """One plain Python processor for all tests."""
    made = Bench()
    made.controls(cr0=CR0_AFP | 0xE0)
    return made


def python(instruction: str, cases: list[Case]) -> list[Left]:
    """Run as plain Python."""
    machine, out = bench(), list[Left]()
    raw = machine.raw
    text = assemble(instruction, 0).text.hex()
    for case in cases:
        for register, value in ((0, case.a), (4, case.b), (8, case.c)):
            raw.vr[2 * register] = value >> 64
            raw.vr[2 * register + 4] = value & (1 << 64) - 1
        raw.gr[2], raw.gr[6] = CASES, case.integer
        machine.write(CASES, case.pack())
        raw.fpc, raw.cc = case.fpc, INITIAL_CC
        machine.psw(PSW_64 | INITIAL_CC << 44, CODE)
        code = machine.execute(text)
        assert code is None or isinstance(code, ProgramCode)
        a, c = (raw.vr[2 * r] << 64 | raw.vr[2 * r + 4] for r in (0, 8))
        dxc = raw.data_code if code == ProgramCode.DATA else 0
        fpc = raw.fpc & 0xFFFF_00FF
        out.append(Left(a, c, raw.gr[6], raw.cc, int(code or 0), dxc, fpc))
    return out


def emulated(instruction: str, cases: list[Case]) -> list[Left]:
    """Run in Unicorn, which takes no interruptions: only cases without one."""
    # The package re-exports its class without saying so to type checkers.
    make = unicorn.Uc  # pyright: ignore[reportPrivateImportUsage]
    emulator = make(unicorn.UC_ARCH_S390X, unicorn.UC_MODE_BIG_ENDIAN)
    emulator.mem_map(0, 4 << 20)
    out: list[Left] = []
    for start in range(0, len(cases), BATCH):
        part = cases[start : start + BATCH]
        text, labels = program(instruction, len(part))
        emulator.mem_write(CODE, text)
        emulator.ctl_remove_cache(CODE, CODE + len(text))
        emulator.mem_write(CASES, b"".join(case.pack() for case in part))
        emulator.emu_start(CODE, labels["handler"] - 4)
        data = bytes(emulator.mem_read(RESULTS, 56 * len(part)))
        out += [unpack(data[i : i + 56]) for i in range(0, len(data), 56)]
    return out
