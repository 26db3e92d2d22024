"""Compare what an instruction leaves with the oracle, and with Unicorn where it is right."""

from collections.abc import Callable, Sequence

from tests.semantics.s390x import bfp_runner
from tests.semantics.s390x.bfp_oracle import Format, Outcome
from tests.semantics.s390x.bfp_runner import INITIAL_CC, Case, Left
from worldswitch.arch.s390x.program import ProgramCode

Oracle = Callable[[Case], Left]
PYTHON_CASES = 60
"""Cases of each table that run as plain Python too."""


def image(form: Format, bits: int) -> int:
    """A number at the left of a register pair."""
    return bits << (128 - form.bits)


def bits_of(form: Format, register: int) -> int:
    """The number at the left of a register pair."""
    return register >> (128 - form.bits)


def placed(form: Format, register: int, bits: int) -> int:
    """A register pair in which a number replaced its left."""
    rest = 128 - form.bits
    return register & (1 << rest) - 1 | bits << rest


def condition(form: Format, bits: int) -> int:
    """Condition code of a result."""
    kind, sign, _ = form.parts(bits)
    return 0 if kind == "zero" else 3 if "nan" in kind else 1 if sign else 2


def left(case: Case, out: Outcome, cc: int | None = None) -> Left:
    """What an outcome for the first operand means for the registers."""
    a = case.a
    if out.result is not None and out.form is not None:
        a = placed(out.form, a, out.result)
    code = int(ProgramCode.DATA) if out.dxc else 0
    cc = INITIAL_CC if cc is None or out.dxc & 0xC0 else cc
    return Left(a, case.c, case.integer, cc, code, out.dxc, out.fpc)


def arithmetic(operate: Callable[[Case], Outcome], sets_cc: bool = False) -> Oracle:
    """Expectation of an instruction whose result is the first operand's new value."""

    def expect(case: Case) -> Left:
        out = operate(case)
        cc = None
        if sets_cc and out.result is not None and out.form is not None:
            cc = condition(out.form, out.result)
        return left(case, out, cc)

    return expect


def differing(
    instruction: str, cases: Sequence[Case], got: Sequence[Left], wanted: Sequence[Left]
) -> list[str]:
    """Lines that show where they differ."""
    return [
        f"{instruction}: fpc {case.fpc:08x} a {case.a:032x} b {case.b:032x} c {case.c:032x} "
        f"integer {case.integer:x}\n  got    {show(g)}\n  wanted {show(w)}"
        for case, g, w in zip(cases, got, wanted, strict=True)
        if g != w
    ]


def show(x: Left) -> str:
    """A result for people."""
    return (
        f"a {x.a:032x} c {x.c:032x} integer {x.integer:x} cc {x.cc} code {x.code} "
        f"dxc {x.dxc:02x} fpc {x.fpc:08x}"
    )


def check(
    instruction: str, cases: list[Case], expect: Oracle,
    emulator_errs: Callable[[Case, Left], bool] | None = None,
) -> None:  # fmt: skip
    """Compiled code and plain Python leave what the oracle says; so does Unicorn without traps.

    emulator_errs: whether Unicorn is known to be wrong about a case; None: it cannot run any.
    """
    wanted = [expect(case) for case in cases]
    bad = differing(instruction, cases, bfp_runner.native(instruction, cases), wanted)
    assert not bad, f"{len(bad)} of {len(cases)}\n" + "\n".join(bad[:6])
    step = max(1, len(cases) // PYTHON_CASES)
    few = cases[::step]
    bad = differing(instruction, few, bfp_runner.python(instruction, few), wanted[::step])
    assert not bad, "plain Python: " + "\n".join(bad[:6])
    if emulator_errs is None:
        return
    plain = [
        (case, want)
        for case, want in zip(cases, wanted, strict=True)
        if case.fpc >> 24 == 0 and case.fpc & 7 != 7 and not emulator_errs(case, want)
    ]
    tried = [case for case, _ in plain]
    bad = differing(
        instruction, tried, bfp_runner.emulated(instruction, tried), [want for _, want in plain]
    )
    assert not bad, f"Unicorn: {len(bad)} of {len(plain)}\n" + "\n".join(bad[:6])
