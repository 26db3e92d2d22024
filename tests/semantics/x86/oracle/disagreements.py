"""Where the host's processor or the emulator departs from what we model.

Each row was settled by AMD's manual (APM): there either the other side is another vendor's, or
wrong. Where this project was wrong, the instruction was corrected and its case became a test.
"""

from tests.semantics.x86.oracle import emulator_departures, host_departures
from tests.semantics.x86.oracle.layout import Case
from tests.semantics.x86.oracle.outcome import Outcome
from tests.semantics.x86.oracle.rules import EMULATOR, HOST

TABLES = {HOST: host_departures.ROWS, EMULATOR: emulator_departures.ROWS}


def known(side: str, case: Case, ours: Outcome, theirs: Outcome) -> str | None:
    """The reason why a case may differ, None if there is none."""
    differing = ours.differing(theirs)
    for row in TABLES[side]:
        mine = row.mnemonics is None or case.mnemonic in row.mnemonics
        if mine and differing <= row.differs and row.when(case, ours, theirs):
            return row.reason
    return None
