"""The entry checks of a state description: is it valid, and if not, why.

A SIE instruction on a state description that breaks a rule ends at once with the validity
interception and the reason code of the first broken rule. The rules are on `StateDescription`
itself, in the order in which they are checked. They are pure functions of the block and the host.
A bad guest PSW is none of them: it gives the guest a specification exception.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any

from worldswitch.arch.control_block import Violation
from worldswitch.arch.s390x import validity_controls, validity_storage
from worldswitch.arch.s390x.sie_controls import INTERVENTION_REQUESTS, CpuStat, Icpt
from worldswitch.arch.s390x.sie_host import EVERYTHING, VALIDITY_IPA, SieHost, ValidityReason
from worldswitch.arch.s390x.state_description import StateDescription

__all__ = [
    "EVERYTHING",
    "SieHost",
    "ValidityReason",
    "ValidityReport",
    "all_violations",
    "set_validity_interception",
    "validity",
    "validity_controls",
    "validity_storage",
]


@dataclass(frozen=True, slots=True)
class ValidityReport:
    """The rule that makes a state description invalid, and its reason code."""

    code: int
    rule: str
    ref: str
    message: str

    def __str__(self) -> str:
        return f"{self.code:#06x} {self.rule}: {self.message} [{self.ref}]"


# The fields that rules read, so that an answer can be kept for blocks that agree in them. The guest
# PSW and the injection are read for protected guests alone, whose answers are not kept.
INPUTS = (
    "cpuflags", "prefix_ibc", "eca", "scaoh", "fpf", "ecb", "ecb2", "ecb3", "scaol", "sdf", "gd",
    "mso", "msl", "crycbd", "sdnxo", "fac", "cbrlo", "ecd", "itdba", "riccbd", "gvrd",
)  # fmt: skip


def _input_format() -> Struct:
    text, done = ">", 0
    for name in INPUTS:
        field = StateDescription.fields[name]
        assert field.code is not None and field.offset >= done, name
        text += f"{field.offset - done}x{field.code.format[-1]}"
        done = field.end
    return Struct(text)


_INPUTS = _input_format()

# Bits of cpuflags that change from entry to entry and that no rule reads.
_VOLATILE = (
    INTERVENTION_REQUESTS
    | CpuStat.STOPPED
    | CpuStat.WAIT
    | CpuStat.ECALL_PEND
    | CpuStat.RUNNING
    | CpuStat.RETAINED
)
STABLE = 0xFFFF_FFFF & ~_VOLATILE
"""Bits of cpuflags that rules read."""


def all_violations(buf: Any, host: SieHost = EVERYTHING) -> list[Violation]:
    """Every rule that the state description breaks, in the order of the checks."""
    return StateDescription.check(buf, host)


def validity(buf: Any, host: SieHost = EVERYTHING) -> ValidityReport | None:
    """The first rule that the state description breaks, or None if SIE would enter the guest.

    Answers are kept for blocks that agree in every field that a rule reads, because a hypervisor
    enters the same guest again and again.
    """
    block = buf if isinstance(buf, StateDescription) else StateDescription(buf)
    if block.sdf:  # only format 2, which is 0, goes through the cache
        return _first(block, host)
    flags, *rest = _INPUTS.unpack_from(block._buf, block._base)  # pyright: ignore[reportPrivateUsage]: one call for all fields is what makes the check cheap
    return _kept((flags & STABLE, *rest), host)


@lru_cache(maxsize=1024)
def _kept(inputs: tuple[int, ...], host: SieHost) -> ValidityReport | None:
    block = StateDescription.new()
    _INPUTS.pack_into(block._buf, 0, *inputs)  # pyright: ignore[reportPrivateUsage]: the counterpart of the unpack above
    return _first(block, host)


def _first(block: StateDescription, host: SieHost) -> ValidityReport | None:
    for rule in StateDescription.rules:
        test: Callable[[StateDescription, SieHost], str | None] = rule.test
        message = test(block, host)
        if message is not None:
            return ValidityReport(rule.code, rule.name, rule.ref, message)
    return None


def set_validity_interception(block: StateDescription, report: ValidityReport) -> None:
    """Store the validity interception in the state description, as SIE does."""
    block.icptcode = Icpt.VALIDITY
    block.icptstatus = 0
    block.ipa = VALIDITY_IPA
    block.ipb = report.code << 16
