"""The mixed loop: instructions per second of straight computation."""

import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from worldswitch.lab.bench.child import checked, qemu, qemu_missing
from worldswitch.lab.bench.image import ORIGIN, PSW_64, elf_image, program
from worldswitch.lab.bench.measure import MeasureError
from worldswitch.lab.bench.rows import OURS, Budget, Row
from worldswitch.machine.s390x.modelled import modelled_cpu
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.processor import Complex, Processor
from worldswitch.metal.s390x.storage import Storage

NAME = "mixed_loop"
TCG = "QEMU TCG"
UNICORN = "Unicorn"
SLICE = 1_000_000_000
ROUNDS = 80_000
UNICORN_SHARE = 4
"""Unicorn gets so much less to do."""
MEMORY = 4 << 20


class _Ours:
    """A processor that runs the loop again and again."""

    def __init__(self, rounds: int) -> None:
        self.program = program(NAME, rounds=rounds)
        storage = Storage(MEMORY)
        storage.write(ORIGIN, self.program.text)
        self.processor: Processor = Complex(storage, modelled_cpu("z14")).processors[0]
        self.instructions = 0

    def run(self) -> float:
        """Instructions per CPU second, in millions."""
        cpu = self.processor
        cpu.raw.running = 1
        cpu.psw = (PSW_64, ORIGIN)
        count, began = cpu.icount, time.process_time()
        reason = cpu.run(SLICE)
        seconds = time.process_time() - began
        if reason != Exit.SIGP:
            raise MeasureError(f"the loop ended with {reason.name}")
        self.instructions = cpu.icount - count
        return self.instructions / seconds / 1e6

    def result(self) -> int:
        """The CRC that the loop left."""
        where = self.program.labels["result"]
        return int.from_bytes(self.processor.storage.read(where, 8), "big")


def count_and_result(rounds: int) -> tuple[int, int]:
    """Instructions that so many rounds execute, and the CRC at their end."""
    ours = _Ours(rounds)
    ours.run()
    return ours.instructions, ours.result()


def _tcg(rounds: int, folder: Path) -> Callable[[], float]:
    """QEMU runs many rounds and one; the difference is the loop without starting and ending."""
    images: list[tuple[Path, int]] = []
    for name, number in (("many", rounds), ("one", 1)):
        instructions, result = count_and_result(number)
        path = folder / name
        path.write_bytes(elf_image(program(NAME, rounds=number, expected=result)))
        images.append((path, instructions))

    def run() -> float:
        (many, instructions), (one, few) = images
        options = ("-action", "panic=exit-failure")
        seconds = checked(qemu(many, *options)).cpu - checked(qemu(one, *options)).cpu
        if seconds <= 0:
            raise MeasureError("the loop is too short to be measured")
        return (instructions - few) / seconds / 1e6

    return run


def _unicorn(rounds: int) -> Callable[[], float]:
    from unicorn.unicorn import Uc, UcError
    from unicorn.unicorn_const import UC_ARCH_S390X, UC_MODE_BIG_ENDIAN

    instructions, result = count_and_result(rounds)
    made = program(NAME, rounds=rounds)

    def run() -> float:
        try:
            uc = Uc(UC_ARCH_S390X, UC_MODE_BIG_ENDIAN)
            uc.mem_map(0, MEMORY)
            uc.mem_write(ORIGIN, made.text)
            began = time.process_time()
            uc.emu_start(ORIGIN, made.labels["stop"])
            seconds = time.process_time() - began
            left = int.from_bytes(uc.mem_read(made.labels["result"], 8), "big")
        except UcError as error:
            raise MeasureError(f"Unicorn: {error}") from None
        if left != result:
            raise MeasureError(f"Unicorn computed {left:#x}, not {result:#x}")
        return instructions / seconds / 1e6

    return run


def unicorn_missing() -> str | None:
    """Why Unicorn cannot be measured, or None."""
    found = importlib.util.find_spec("unicorn")
    return None if found else "the Python package unicorn is not installed"


def rows(quick: bool, folder: Path) -> list[Row]:
    """The row of the loop."""
    rounds = ROUNDS // 8 if quick else ROUNDS
    row = Row(
        "loop",
        "mixed loop (table CRC, copy, calls)",
        "million instructions/s",
        Budget(0.5, TCG, "half of TCG"),
        {OURS: _Ours(rounds).run},
        rate=True,
    )
    if why := qemu_missing():
        row.missing[TCG] = why
    else:
        place = Path(tempfile.mkdtemp(dir=folder))
        row.sides[TCG] = _tcg(rounds, place)
    if why := unicorn_missing():
        row.missing[UNICORN] = why
    else:
        row.sides[UNICORN] = _unicorn(rounds // UNICORN_SHARE)
    return [row]
