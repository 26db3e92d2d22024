"""`@insn`: an instruction's encoding, rules and behaviour, in one place.

    @insn("AR", "1A", "RR", ref="PoP 7 ADD")
    def ar(cpu: Cpu, r1: u8, r2: u8) -> None: ...

The function is of the typed subset. Its parameters after `cpu` are operands, by name: those of
the format (formats.py), and the derived ones below. What it returns says how it ends:

    None                        the next sequential instruction follows
    bool                        a relative branch: taken to `target` if True
    tuple[bool, u64]            a branch to a computed address: (taken, address)
    None with control=True      PSW, controls or pending work may have changed. `cpu.psw_addr` is
                                already the next instruction's; the function may set another.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from worldswitch.engine import Typed, typed
from worldswitch.metal.s390x.formats import FORMATS, SECOND_OPCODE


@dataclass(frozen=True)
class Intercept:
    """When a guest of SIE leaves at this instruction instead of executing it.

    Always, if `field` is None. Otherwise if `field` of the state description ("ictl", "eca",
    "ecb", ...), and-ed with `mask`, is nonzero (`when=True`) or zero (`when=False`).
    """

    field: str | None = None
    mask: int = 0
    when: bool = True


ALWAYS = Intercept()


@dataclass(frozen=True)
class Insn:
    """One instruction of the table."""

    mnemonic: str
    opcode: str
    format: str
    ref: str
    function: Typed[Any, Any]
    privileged: bool = False
    """Privileged-operation exception in the problem state, before anything else."""
    intercept: Intercept | None = None
    facility: int | None = None
    """Facility bit without which the opcode is an operation exception."""
    control: bool = False
    ends: bool = False
    """The next sequential instruction is never reached from here: the block ends."""
    bfp: bool = False
    """Needs the AFP-register control (CR0 bit 45): otherwise data exception, DXC 2."""
    afp: tuple[str, ...] = ()
    """Operands that are floating-point registers of HFP or of FP-support instructions: without the
    AFP-register control those other than 0, 2, 4 and 6 are a data exception, DXC 1."""
    access_registers: tuple[str, str] = ("b1", "b2")
    """Record fields that name the access registers of OP1 and OP2."""
    index: int = field(default=-1, compare=False)


TABLE: dict[str, Insn] = {}
"""All instructions by opcode text, in the order of definition."""


def insn(
    mnemonic: str, opcode: str, format: str, *, ref: str, leaves: bool = True, **rules: Any
) -> Callable[[Callable[..., Any]], Typed[Any, Any]]:
    """Enter the decorated function into the table; see the module's text and `Insn`."""
    if format not in FORMATS:
        raise ValueError(f"{mnemonic}: no format {format}")
    digits = {0: 2, 4: 3, 8: 4}[SECOND_OPCODE[format][1]]
    if len(opcode) != digits:
        raise ValueError(f"{mnemonic}: opcode {opcode} of a {format} instruction needs {digits}")

    def enter(fn: Callable[..., Any]) -> Typed[Any, Any]:
        key = opcode.upper()
        if key in TABLE:
            raise ValueError(f"{mnemonic}: opcode {key} is {TABLE[key].mnemonic} already")
        function = typed(fn, leaves=leaves, inline=True, name=mnemonic.lower())
        TABLE[key] = Insn(mnemonic, key, format, ref, function, index=len(TABLE), **rules)
        return function

    return enter
