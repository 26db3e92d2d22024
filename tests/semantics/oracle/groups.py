"""The instructions that the emulator can judge, by instruction format."""

from collections import defaultdict

from tests.semantics.oracle.encode import by_mnemonic
from tests.semantics.oracle.refused import ABSENT
from tests.semantics.oracle.traits import OTHER_CONTROLS
from worldswitch.metal.s390x.insn import Insn


def groups() -> dict[str, list[Insn]]:
    """Problem-state instructions by format.

    Binary floating point is not among them: the emulator keeps the old result when a trap is
    enabled and rounds products wrongly; tests/semantics/s390x/test_bfp_* compute theirs exactly.
    """
    found: dict[str, list[Insn]] = defaultdict(list)
    for item in by_mnemonic().values():
        judged = item.mnemonic not in OTHER_CONTROLS | ABSENT
        if judged and not item.privileged and not item.ref.startswith("PoP 19"):
            found[item.format].append(item)
    return dict(sorted(found.items()))
