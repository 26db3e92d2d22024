"""Where the host's processor or the emulator departs from what we model.

Each row was settled by AMD's manual (APM): there either the other side is another vendor's, or
wrong. Where this project was wrong, the instruction was corrected and its case became a test.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.semantics.x86.oracle.layout import Case
from tests.semantics.x86.oracle.outcome import Outcome

Rule = Callable[[Case, Outcome, Outcome], bool]
HOST, EMULATOR = "host", "emulator"


@dataclass(frozen=True)
class Known:
    """A kind of disagreement: with whom, where it occurs, and what may differ."""

    side: str
    reason: str
    ref: str
    mnemonics: frozenset[str] | None
    """None: any."""
    when: Rule
    differs: frozenset[str]


def always(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """The rows of instructions that the other side has different throughout."""
    return True


KNOWN: list[Known] = []


def known(side: str, case: Case, ours: Outcome, theirs: Outcome) -> str | None:
    """The reason why a case may differ, None if there is none."""
    differing = ours.differing(theirs)
    for row in KNOWN:
        mine = row.side == side and (row.mnemonics is None or case.mnemonic in row.mnemonics)
        if mine and differing <= row.differs and row.when(case, ours, theirs):
            return row.reason
    return None
