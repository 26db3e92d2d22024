"""Batches on our compiled processor and on the emulator, and how their results differ."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from tests.semantics.bench import Bench
from tests.semantics.oracle.disagreements import known
from tests.semantics.oracle.emulator import DATA, Emulator, EmulatorError
from tests.semantics.oracle.generate import Generator
from tests.semantics.oracle.layout import (
    CASE,
    CASES,
    DRIVER,
    LIMIT,
    PSW_64,
    RAM,
    RESULT_SIZE,
    RESULTS,
    WINDOW,
    Batch,
    Case,
    window_of,
)
from tests.semantics.oracle.outcome import CODE, Outcome
from tests.semantics.oracle.refused import crashes
from worldswitch.metal.s390x.insn import Insn
from worldswitch.metal.s390x.leave import Exit

CR0 = 0xE0 | 1 << 18
BUDGET = 200_000_000


class Ours:
    """Our processor, compiled."""

    def __init__(self, engine: str = "native") -> None:
        self.bench = Bench(ram=RAM, engine=engine)
        self.bench.controls(cr0=CR0)

    def run(self, image: bytes, again: bool = False) -> bytes:
        """Storage after the driver has run; `again` as for the emulator."""
        bench = self.bench
        if again:
            for part in DATA:
                bench.storage.write(part.start, image[part])
        else:
            bench.storage.write(0, image)
            bench.processor.call("flush_code")
        bench.raw.check = 0
        bench.processor.psw = (PSW_64, DRIVER)
        reason = bench.processor.run(BUDGET)
        assert reason == Exit.WAIT, reason
        return bench.storage.read(0, RAM)


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
    known: Counter[str] = field(default_factory=Counter)
    """Differences that the table explains, by reason."""
    found: list[Disagreement] = field(default_factory=list)
    """Those that it does not."""
    crashes: list[Case] = field(default_factory=list)
    refused: int = 0
    """Cases that were not run, because the emulator is known to crash on them."""

    def add(self, other: "Comparison") -> None:
        """Add the counts of another run."""
        self.cases += other.cases
        self.exceptions += other.exceptions
        self.known += other.known
        self.found += other.found
        self.crashes += other.crashes
        self.refused += other.refused


class Comparer:
    """Runs batches on both sides."""

    def __init__(self) -> None:
        self.ours = Ours()
        self.emulator = Emulator()

    def close(self) -> None:
        """End the emulator's process."""
        self.emulator.close()

    def batch(self, items: list[Insn], seed: int, count: int = LIMIT, spins: int = 1) -> Comparison:
        """Compare `count` random instructions of `items`, taken in turn, from `spins` states."""
        generator = Generator(seed)
        cases = [generator.case(items[n % len(items)], n) for n in range(count)]
        cases = [case for case in cases if not crashes(case)]
        result = Comparison(refused=(count - len(cases)) * spins)
        self._compare(cases, generator.low_window(), spins, seed, result)
        return result

    def _compare(
        self, cases: list[Case], low: bytes, spins: int, seed: int, result: Comparison
    ) -> None:
        if not cases:
            return
        batch = Batch(cases, low)
        rng = Random(seed)
        doubtful: list[Case] = []
        for n in range(spins):
            if n:
                batch.spin(rng.randrange(LIMIT), rng.randrange(LIMIT))
            image = bytes(batch.image)
            try:
                theirs = self.emulator.run(image, n > 0)
            except EmulatorError:
                if len(cases) == 1:
                    result.crashes.append(batch.case(cases[0].number))
                    break
                half = len(cases) // 2
                self._compare(cases[:half], low, spins - n, seed + n, result)
                self._compare(cases[half:], low, spins - n, seed + n, result)
                break
            result.cases += len(cases)
            ours = self.ours.run(image, n > 0)
            doubtful += [found.case for found in self._differing(batch, ours, theirs, result)]
            texts = slice(CASES, CASES + CASE * LIMIT)
            assert ours[texts] == image[texts], "a case changed the cases themselves"
        for case in doubtful:
            # Storage may differ by what an earlier case left: once more, alone.
            one = Batch([case], low)
            image = bytes(one.image)
            theirs = self.emulator.run(image)
            result.found += self._differing(one, self.ours.run(image), theirs, result)

    def _differing(
        self, batch: Batch, ours: bytes, theirs: bytes, result: Comparison
    ) -> list[Disagreement]:
        found: list[Disagreement] = []
        for number in batch.cases:
            at, window = RESULTS + RESULT_SIZE * number, window_of(number)
            here, there = slice(at, at + RESULT_SIZE), slice(window, window + WINDOW)
            if ours[here] == theirs[here] and ours[there] == theirs[there]:
                continue
            mine, other = Outcome.of(ours, number, True), Outcome.of(theirs, number, False)
            result.exceptions += mine.values[CODE] != 0 and len(batch.cases) > 1
            if mine == other:
                continue
            case = batch.case(number)
            reason = known(case, mine, other)
            if reason:
                result.known[reason] += 1
            else:
                found.append(Disagreement(case, mine, other))
        return found
