"""What a processor computes by itself: the mixed loop, and VMRUN of a guest that leaves at once."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from worldswitch.arch.x86.models import cpu_model
from worldswitch.lab.bench.child import QEMU_X86, qemu_missing, qemu_x86, run
from worldswitch.lab.bench.loop import SLICE, TCG, UNICORN, UNICORN_SHARE, unicorn_missing
from worldswitch.lab.bench.measure import MeasureError
from worldswitch.lab.bench.rows import OURS, Budget, Row, deferred
from worldswitch.lab.bench.x86.image import ORIGIN, elf_image, program, start
from worldswitch.machine.x86.machine import DEFAULT_MODEL
from worldswitch.machine.x86.start import start_at
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.processor import Complex, Processor
from worldswitch.metal.x86.storage import Storage

LOOP, NESTED = "x86_mixed_loop", "x86_nested_vmrun"
MEMORY = 16 << 20
ROUNDS, TRIPS = 80_000, 2_000_000
TCG_SHARE = 10
"""QEMU gets so many times fewer round trips to do."""
QEMU_GOOD = 1
"""QEMU's status after a zero was written to the port of isa-debug-exit."""


class Bare:
    """A processor without devices that runs a program of the benchmark again and again."""

    def __init__(self, name: str, rounds: int, engine: str = "native") -> None:
        self.program = program(name, rounds=rounds)
        storage = Storage(MEMORY)
        storage.write(ORIGIN, self.program.text)
        shared = Complex(storage, cpu_model(DEFAULT_MODEL), 1, engine)
        self.processor: Processor = shared.processors[0]
        self.instructions = 0

    def run(self) -> float:
        """CPU seconds of one run from the beginning to the end."""
        processor = self.processor
        processor.reset()
        start_at(processor, start())
        processor.call("update_mode")
        count, began = processor.icount, time.process_time()
        reason = processor.run(SLICE)
        seconds = time.process_time() - began
        if reason != Exit.HALT:
            raise MeasureError(f"the program ended with {reason.name}")
        self.instructions = processor.icount - count
        return seconds

    def result(self) -> int:
        """What the program left."""
        where = self.program.symbols["result"]
        return int.from_bytes(self.processor.storage.read(where, 8), "little")


def count_and_result(name: str, rounds: int) -> tuple[int, int]:
    """Instructions that so many rounds execute, and the result at their end."""
    bare = Bare(name, rounds)
    bare.run()
    return bare.instructions, bare.result()


def tcg_seconds(name: str, rounds: int, folder: Path) -> Callable[[], float]:
    """CPU seconds of QEMU for the rounds: it runs many and one, and the difference is theirs."""
    images: list[Path] = []
    for kind, number in (("many", rounds), ("one", 1)):
        path = folder / f"{name}-{kind}"
        result = count_and_result(name, number)[1]
        path.write_bytes(elf_image(program(name, rounds=number, expected=result)))
        images.append(path)
    fixed = ("-m", "64", "-device", "isa-debug-exit,iobase=0x501,iosize=1")

    def seconds(path: Path) -> float:
        ended = run(qemu_x86(path, *fixed))
        if ended.status != QEMU_GOOD:
            last = ended.errors.decode(errors="replace").strip().splitlines()
            why = f": {last[-1]}" if last else ""
            raise MeasureError(f"{QEMU_X86} ended with {ended.status}{why}")
        return ended.cpu

    def measure() -> float:
        many, one = images
        spent = seconds(many) - seconds(one)
        if spent <= 0:
            raise MeasureError("the program is too short to be measured")
        return spent

    return measure


def _unicorn(rounds: int) -> Callable[[], float]:
    from unicorn.unicorn import Uc, UcError
    from unicorn.unicorn_const import UC_ARCH_X86, UC_MODE_64
    from unicorn.x86_const import UC_X86_REG_R10, UC_X86_REG_R11, UC_X86_REG_RSP

    instructions, result = count_and_result(LOOP, rounds)
    made = program(LOOP)

    def measure() -> float:
        try:
            uc = Uc(UC_ARCH_X86, UC_MODE_64)
            uc.mem_map(0, MEMORY)
            uc.mem_write(ORIGIN, made.text)
            uc.reg_write(UC_X86_REG_R10, rounds)
            uc.reg_write(UC_X86_REG_RSP, 0x70000)
            began = time.process_time()
            uc.emu_start(made.symbols["main"], made.symbols["finish"])
            seconds = time.process_time() - began
            left = uc.reg_read(UC_X86_REG_R11)
        except UcError as error:
            raise MeasureError(f"Unicorn: {error}") from None
        if left != result:
            raise MeasureError(f"Unicorn computed {left:#x}, not {result:#x}")
        return instructions / seconds / 1e6

    return measure


def loop_rows(quick: bool, folder: Path) -> list[Row]:
    """The row of the mixed loop."""
    rounds = ROUNDS // 8 if quick else ROUNDS

    def ours() -> Callable[[], float]:
        bare = Bare(LOOP, rounds)

        def measure() -> float:
            seconds = bare.run()
            return bare.instructions / seconds / 1e6

        return measure

    def tcg() -> Callable[[], float]:
        seconds = tcg_seconds(LOOP, rounds, Path(tempfile.mkdtemp(dir=folder)))
        many, few = (count_and_result(LOOP, number)[0] for number in (rounds, 1))
        return lambda: (many - few) / seconds() / 1e6

    row = Row(
        "x86-loop",
        "mixed loop (table CRC, copy, calls), x86-64",
        "million instructions/s",
        Budget(0.5, TCG, "half of TCG"),
        {OURS: deferred(ours)},
        rate=True,
    )
    if why := qemu_missing(QEMU_X86):
        row.missing[TCG] = why
    else:
        row.sides[TCG] = deferred(tcg)
    if why := unicorn_missing():
        row.missing[UNICORN] = why
    else:
        row.sides[UNICORN] = deferred(lambda: _unicorn(rounds // UNICORN_SHARE))
    return [row]


def nested_rows(quick: bool, folder: Path) -> list[Row]:
    """The row of a guest's own VMRUN: into a guest that executes CPUID, and back."""
    trips = TRIPS // 8 if quick else TRIPS

    def ours() -> Callable[[], float]:
        bare = Bare(NESTED, trips)

        def measure() -> float:
            seconds = bare.run()
            if bare.result() != trips:
                raise MeasureError(f"{bare.result()} of {trips} exits were for CPUID")
            return trips / seconds / 1e3

        return measure

    def tcg() -> Callable[[], float]:
        fewer = trips // TCG_SHARE
        seconds = tcg_seconds(NESTED, fewer, Path(tempfile.mkdtemp(dir=folder)))
        return lambda: (fewer - 1) / seconds() / 1e3

    row = Row(
        "x86-nested",
        "VMRUN by a guest program, to CPUID and back",
        "thousand round trips/s",
        None,
        {OURS: deferred(ours)},
        rate=True,
    )
    if why := qemu_missing(QEMU_X86):
        row.missing[TCG] = why
    else:
        row.sides[TCG] = deferred(tcg)
    return [row]
