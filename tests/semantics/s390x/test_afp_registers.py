"""Additional floating-point registers without the AFP-register control: data exception 1."""

import pytest

from tests.semantics.bench import PSW_64, STOP, Bench
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.psw import PSW_WAIT

CODE = 0x1000
AFP = 1 << 18
ADDITIONAL = ["3A12", "3A28", "6810 0100", "60F0 0100", "2881", "B365 0041", "B3CD 0069",
              "B3C1 0096", "B372 1002", "B336 0048", "B3B8 0061", "B3B4 0096", "ED30 0100 0065",
              "B32E 0012", "B351 0090", "7C70 0100"]  # fmt: skip
ORDINARY = ["3A06", "6840 0100", "2862", "B3CD 0096", "B3C1 0069", "B3B8 0094", "B3B4 0069",
            "B336 0040", "B32E 2046"]  # fmt: skip


@pytest.fixture(scope="module", params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(engine=request.param)


def run(bench: Bench, text: str, cr0: int) -> int | None:
    """Run an instruction from storage: the program-interruption code, or None."""
    bench.controls(cr0=cr0)
    for r in range(16):
        bench.raw.vr[2 * r] = 0x4110_0000_0000_0000
    bench.write(CODE, bytes.fromhex(text + STOP))
    bench.put(0x1D0, PSW_64 | PSW_WAIT)
    bench.put(0x8E, 0, 2)
    bench.processor.call("purge_all")
    bench.processor.call("flush_code")
    bench.psw(PSW_64, CODE)
    if bench.processor.run(100) == Exit.DIAGNOSE:
        return None
    return bench.get(0x8E, 2)


@pytest.mark.parametrize("text", ADDITIONAL)
def test_additional_register_without_the_control_is_data_exception_1(
    bench: Bench, text: str
) -> None:
    before = bench.raw.cr[0] & ~AFP
    assert run(bench, text, before) == ProgramCode.DATA
    assert bench.get(0x90, 4) == 1
    assert [bench.raw.vr[2 * r] for r in range(16)] == [0x4110_0000_0000_0000] * 16
    assert run(bench, text, before | AFP) is None


@pytest.mark.parametrize("text", ORDINARY)
def test_registers_0_2_4_6_need_no_control(bench: Bench, text: str) -> None:
    assert run(bench, text, bench.raw.cr[0] & ~AFP) is None
