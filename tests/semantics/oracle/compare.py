"""Batches on our compiled processor and on the emulator, and how their results differ."""

from dataclasses import dataclass, field

from tests.semantics.bench import Bench
from tests.semantics.oracle.emulator import Emulator, EmulatorError
from tests.semantics.oracle.generate import Generator
from tests.semantics.oracle.layout import (
    CASE,
    CASES,
    DRIVER,
    LIMIT,
    LOW_WINDOW,
    LOW_WINDOW_END,
    PSW_64,
    RAM,
    RESULT_FORMAT,
    RESULT_SIZE,
    RESULTS,
    WINDOW,
    Case,
    image_of,
    window_of,
)
from worldswitch.metal.s390x.insn import Insn
from worldswitch.metal.s390x.leave import Exit

CR0 = 0xE0 | 1 << 18
BUDGET = 200_000_000
CC_OF_EPSW = 0x3000
NAMES = (
    [f"r{n}" for n in range(16)]
    + [f"a{n}" for n in range(16)]
    + [f"f{n}" for n in range(16)]
    + ["fpc", "psw", "psw2", "ilc", "code", "cc", "old", "address"]
)
FPC, PSW, PSW2, ILC, CODE, CC, OLD, ADDRESS = range(48, 56)


class Ours:
    """Our processor, compiled."""

    def __init__(self) -> None:
        self.bench = Bench(ram=RAM, engine="native")
        self.bench.controls(cr0=CR0)

    def run(self, image: bytes) -> bytes:
        """Storage after the driver has run."""
        bench = self.bench
        bench.storage.write(0, image)
        bench.processor.call("flush_code")
        bench.raw.check = 0
        bench.processor.psw = (PSW_64, DRIVER)
        reason = bench.processor.run(BUDGET)
        assert reason == Exit.WAIT, reason
        return bench.storage.read(0, RAM)


@dataclass
class Outcome:
    """What a case left: its registers by place in NAMES, and its window."""

    values: list[int]
    window: bytes

    @classmethod
    def of(cls, image: bytes, number: int, ours: bool) -> "Outcome":
        """Read an outcome, with program interruptions told alike by both sides."""
        values = list(RESULT_FORMAT.unpack_from(image, RESULTS + RESULT_SIZE * number))
        if values[CODE] and ours:
            mask = values[OLD]
            values[PSW], values[PSW2] = mask >> 32, mask & 0xFFFF_FFFF
            values[CC] = (mask >> 40 & 0x3F) << 24
        values[PSW] &= ~CC_OF_EPSW
        values[OLD] = 0
        where = window_of(number)
        return cls(values, image[where : where + WINDOW])

    def difference(self, other: "Outcome") -> dict[str, tuple[int, int]]:
        """Names and both values where two outcomes differ."""
        found = {
            name: (a, b)
            for name, a, b in zip(NAMES, self.values, other.values, strict=True)
            if a != b
        }
        for n, (a, b) in enumerate(zip(self.window, other.window, strict=True)):
            if a != b:
                found[f"window+{n:x}"] = (a, b)
                if len(found) > 8:
                    break
        return found


@dataclass
class Disagreement:
    """A case on which the two sides differ."""

    case: Case
    ours: Outcome
    theirs: Outcome

    @property
    def difference(self) -> dict[str, tuple[int, int]]:
        """What differs: (ours, theirs)."""
        return self.ours.difference(self.theirs)

    def __str__(self) -> str:
        rows = "\n".join(f"  {n}: {a:x} here, {b:x} there" for n, (a, b) in self.difference.items())
        return f"{self.case}\n{rows}"


@dataclass
class Comparison:
    """Counts and disagreements of a run."""

    cases: int = 0
    exceptions: int = 0
    found: list[Disagreement] = field(default_factory=list)
    crashes: list[Case] = field(default_factory=list)
    stray: int = 0
    """Batches that differ outside of any case's own result."""


class Comparer:
    """Runs batches on both sides."""

    def __init__(self) -> None:
        self.ours = Ours()
        self.emulator = Emulator()

    def close(self) -> None:
        """End the emulator's process."""
        self.emulator.close()

    def batch(self, items: list[Insn], seed: int, count: int = LIMIT) -> Comparison:
        """Compare `count` random cases of `items`, taken in turn."""
        generator = Generator(seed)
        cases = [generator.case(items[n % len(items)], n) for n in range(count)]
        result = Comparison(count)
        self._compare(cases, generator.low_window(), result)
        return result

    def _compare(self, cases: list[Case], low: bytes, result: Comparison) -> None:
        image = bytes(image_of(cases, low))
        try:
            theirs = self.emulator.run(image)
        except EmulatorError:
            if len(cases) == 1:
                result.crashes.append(cases[0])
                return
            half = len(cases) // 2
            self._compare(cases[:half], low, result)
            self._compare(cases[half:], low, result)
            return
        ours = self.ours.run(image)
        explained = False
        for case in cases:
            mine, other = (
                Outcome.of(ours, case.number, True),
                Outcome.of(theirs, case.number, False),
            )
            result.exceptions += mine.values[CODE] != 0 and len(cases) > 1
            if mine.values != other.values or mine.window != other.window:
                explained = True
                if len(cases) == 1:
                    result.found.append(Disagreement(case, mine, other))
                else:
                    # Storage may differ by what an earlier case left: once more, alone.
                    self._compare([case], low, result)
        if len(cases) == 1:
            return
        low_part = slice(LOW_WINDOW, LOW_WINDOW_END)
        if not explained and ours[low_part] != theirs[low_part]:
            result.stray += 1
        last = slice(CASES, CASES + CASE * LIMIT)
        assert ours[last] == image[last], "a case changed the cases themselves"
