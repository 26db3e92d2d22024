"""With unmasked exceptions, `settle` gives the processor's MXCSR and #XM, for two elements too."""

from random import Random

import pytest

from tests.semantics.x86.fp import host, trapping
from tests.semantics.x86.fp.host import Case
from tests.semantics.x86.fp.operands import BINARY64, tuples
from tests.semantics.x86.fp.sse_check import compiled, control
from worldswitch.engine import u32
from worldswitch.metal.x86.fp import sse

COUNT = 3000
LOW = (1 << 64) - 1
OPERATIONS = {
    "addpd": "add64",
    "mulpd": "mul64",
    "divpd": "div64",
    "sqrtpd": "sqrt64",
    "maxpd": "max64",
    "cvtpd2ps": "f64_to_f32",
    "cvtpd2dq": "f64_to_i32",
}
ONE_OPERAND = ("sqrtpd", "cvtpd2ps", "cvtpd2dq")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_settle_with_unmasked_exceptions_gives_mxcsr_and_xm(operation: str) -> None:
    random = Random(4)
    numbers = list(tuples(BINARY64, random, 2 * COUNT, 2))
    lanes: list[Case] = []
    cases: list[Case] = []
    for (a, b), (c, d) in zip(numbers[::2], numbers[1::2], strict=True):
        mxcsr = control(random) & ~0x1F80 | random.getrandbits(6) << 7
        if operation in ONE_OPERAND:
            a, c = b, d
        lanes += [Case(mxcsr, a, b), Case(mxcsr, c, d)]
        cases.append(Case(mxcsr, a | c << 64, b | d << 64))
    results = compiled().run(getattr(sse, OPERATIONS[operation]), lanes)
    if not host.NATIVE:
        return  # Unicorn has no exceptions in MXCSR
    bits = 64 if operation in ("addpd", "mulpd", "divpd", "sqrtpd", "maxpd") else 32
    for i, (case, got) in enumerate(zip(cases, trapping.run(operation, cases), strict=True)):
        first, second = results[2 * i : 2 * i + 2]
        after, raises = sse.settle(u32(case.control), u32(first[1] | second[1]))
        wanted = case.a if raises else first[0] | second[0] << bits
        shown = f"mxcsr {case.control:04x} a {case.a:032x} b {case.b:032x}"
        assert (hex(got[1]), hex(got[0])) == (hex(int(after) | raises << 32), hex(wanted)), shown
