"""Batches on our processor and beside it, and how the results differ."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from tests.semantics.x86.oracle.disagreements import known
from tests.semantics.x86.oracle.emulator import emulator
from tests.semantics.x86.oracle.generate import Generator
from tests.semantics.x86.oracle.host import host
from tests.semantics.x86.oracle.layout import LIMIT, Answer, Batch, Case
from tests.semantics.x86.oracle.ours import Ours
from tests.semantics.x86.oracle.outcome import Outcome, same_bytes
from tests.semantics.x86.oracle.rules import EMULATOR, HOST
from tests.semantics.x86.oracle.undefined import overlook, settle
from tests.semantics.x86.oracle.worker import Worker, WorkerError
from worldswitch.metal.x86.insn import Insn


@dataclass
class Disagreement:
    """A case on which we and another side differ."""

    side: str
    case: Case
    ours: Outcome
    theirs: Outcome

    def __str__(self) -> str:
        difference = self.ours.difference(self.theirs)
        rows = "\n".join(
            f"  {name}: {a:x} here, {b:x} with the {self.side}"
            for name, (a, b) in difference.items()
        )
        return f"{self.case}\n{rows}"


@dataclass
class Comparison:
    """Counts and disagreements of a run."""

    cases: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    """Cases compared with each side."""
    exceptions: int = 0
    known: Counter[str] = field(default_factory=Counter)
    """Differences that the table explains, by reason."""
    found: list[Disagreement] = field(default_factory=list)
    """Those that it does not."""
    crashes: list[Case] = field(default_factory=list)

    def add(self, other: "Comparison") -> None:
        """Add the counts of another run."""
        self.cases += other.cases
        self.compared += other.compared
        self.exceptions += other.exceptions
        self.known += other.known
        self.found += other.found
        self.crashes += other.crashes


class Comparer:
    """Runs batches on all sides."""

    def __init__(self, engine: str = "native") -> None:
        self.ours = Ours(engine)
        self.others: dict[str, Worker] = {}
        native = host()
        if native is not None:
            self.others[HOST] = native
        self.others[EMULATOR] = emulator()

    def close(self) -> None:
        """End the workers."""
        for other in self.others.values():
            other.close()

    def batch(
        self, items: list[Insn], seed: int, count: int = LIMIT, spins: int = 1, narrow: bool = False
    ) -> Comparison:
        """Compare `count` random instructions of `items`, taken in turn, from `spins` states."""
        generator = Generator(seed, narrow)
        cases = [generator.case(items[n % len(items)], n) for n in range(count)]
        result = Comparison()
        self._compare(cases, spins, seed, result)
        return result

    def _compare(self, cases: list[Case], spins: int, seed: int, result: Comparison) -> None:
        batch = Batch(cases)
        rng = Random(seed)
        doubtful: dict[int, tuple[str, Case]] = {}
        for n in range(spins):
            if n:
                batch.spin(rng.randrange(LIMIT), rng.randrange(LIMIT))
            result.cases += len(cases)
            ours = self.ours.run(batch, n > 0)
            for side, other in self.others.items():
                try:
                    theirs = other.run(batch, n > 0)
                except WorkerError:
                    self._halve(batch, cases, result)
                    return
                result.compared[side] += len(cases)
                for found in differing(side, batch, ours, theirs, result):
                    doubtful.setdefault(found.case.number, (side, found.case))
        assert self.ours.untouched(batch), "a case changed the cases' texts"
        for side, case in doubtful.values():
            # Memory may differ by what an earlier case left: once more, alone.
            one = Batch([case])
            mine = self.ours.run(one)
            result.found += differing(side, one, mine, self.others[side].run(one), result)

    def _halve(self, batch: Batch, cases: list[Case], result: Comparison) -> None:
        """Find the case on which a side crashes."""
        if len(cases) == 1:
            result.crashes.append(batch.case(cases[0].number))
            return
        half = len(cases) // 2
        for part in (cases[:half], cases[half:]):
            self._compare([batch.case(case.number) for case in part], 1, 0, result)


def differing(
    side: str, batch: Batch, ours: Answer, theirs: Answer, result: Comparison
) -> list[Disagreement]:
    """The cases on which two answers differ, but for what is undefined or known."""
    found: list[Disagreement] = []
    for number in batch.cases:
        if same_bytes(ours, theirs, number):
            continue
        mine, other = Outcome.of(ours, number), Outcome.of(theirs, number)
        case = batch.case(number)
        settle(case, mine, other)
        if side == EMULATOR:
            overlook(case, mine, other)
        if mine == other:
            continue
        reason = known(side, case, mine, other)
        if reason:
            result.known[reason] += 1
        else:
            found.append(Disagreement(side, case, mine, other))
    return found
