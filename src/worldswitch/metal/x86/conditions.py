"""The sixteen conditions of Jcc, SETcc and CMOVcc. ref: APM3 1.2.8, table of rFLAGS conditions"""

from typing import Any

from worldswitch.engine import Typed, typed
from worldswitch.metal.x86.flags import cf, less, of, pf, sf, zf
from worldswitch.metal.x86.state import Cpu


@typed(inline=True)
def below_or_equal(cpu: Cpu) -> bool:
    """CF or ZF."""
    return cf(cpu) or zf(cpu)


@typed(inline=True)
def less_or_equal(cpu: Cpu) -> bool:
    """ZF, or SF differs from OF."""
    return zf(cpu) or less(cpu)


def _negated(condition: Typed[Any, Any]) -> Typed[Any, Any]:
    @typed(inline=True, name=f"not_{condition.name}")
    def negated(cpu: Cpu) -> bool:
        return not condition(cpu)

    return negated


_PAIRS = (
    ("O", "NO", of), ("B", "NB", cf), ("Z", "NZ", zf), ("BE", "NBE", below_or_equal),
    ("S", "NS", sf), ("P", "NP", pf), ("L", "NL", less), ("LE", "NLE", less_or_equal),
)  # fmt: skip
CONDITIONS: list[tuple[str, Typed[Any, Any]]] = [
    item
    for name, negated, condition in _PAIRS
    for item in ((name, condition), (negated, _negated(condition)))
]
"""Mnemonic and function, by number."""
