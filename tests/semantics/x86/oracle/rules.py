"""What a row of the table of disagreements says, and the rules that both tables use."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.semantics.x86.oracle.layout import Case
from tests.semantics.x86.oracle.outcome import NAMES, Outcome

Rule = Callable[[Case, Outcome, Outcome], bool]
HOST, EMULATOR = "host", "emulator"
ANY = frozenset(NAMES) | {"window"}
XMM = frozenset({f"xmm{n}" for n in range(16)})
X87 = frozenset({f"st{n}" for n in range(8)})
FAULT = frozenset({"vector", "error", "cr2", "rip", "rflags"})
APPROXIMATIONS = frozenset({"RCPSS", "RCPPS", "RSQRTSS", "RSQRTPS"})


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


def same_fault(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Both take the same fault."""
    return ours["vector"] == theirs["vector"] >= 0


def only_we(*vectors: int) -> Rule:
    """Only we present one of these exceptions."""
    return lambda case, ours, theirs: ours["vector"] in vectors and theirs["vector"] not in vectors


def lanes(value: int, size: int) -> list[int]:
    """The elements of an XMM register, low first."""
    return [value >> at & (1 << size) - 1 for at in range(0, 128, size)]


def differing_lanes(ours: Outcome, theirs: Outcome, size: int) -> list[tuple[int, int]]:
    """The pairs of elements that differ."""
    found: list[tuple[int, int]] = []
    for name in XMM:
        pairs = zip(lanes(ours[name], size), lanes(theirs[name], size), strict=True)
        found += [(a, b) for a, b in pairs if a != b]
    return found


def size_of_lane(case: Case) -> int:
    """Bits of an element: 64 for instructions on doubles."""
    return 64 if case.mnemonic.endswith(("PD", "SD")) else 32


def is_nan(value: int, size: int) -> bool:
    """Whether an element is a NaN."""
    if size == 64:
        return value & 2**63 - 1 > 0x7FF0 << 48
    return value & 2**31 - 1 > 0x7F80 << 16


def other_nan(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Several operands are NaNs, and each side took another one."""
    size = size_of_lane(case)
    pairs = differing_lanes(ours, theirs, size)
    return case.unit == "sse" and all(is_nan(a, size) and is_nan(b, size) for a, b in pairs)
