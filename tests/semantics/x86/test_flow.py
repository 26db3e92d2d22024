"""From one instruction to the next: branches to other pages, and the time that PAUSE takes."""

import pytest

from tests.semantics.x86.bench import CODE, PAGES, Bench
from worldswitch.lab.x86_assembler import assemble
from worldswitch.metal.x86.insns.misc import PAUSE_TIME
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.table import TABLE, symbol_of

FAR, OTHER = 0x60_0000, 0x80_0000
ENTRY = PAGES + 0x2000 + 8 * (FAR >> 21)


@pytest.fixture(params=["native", "python"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(engine=request.param)


@pytest.mark.parametrize("flush", ["", f"invlpg {FAR}"])
@pytest.mark.parametrize("branch", ["jmp", "call", "jz"])
def test_branch_to_another_page_follows_the_translation(
    bench: Bench, branch: str, flush: str
) -> None:
    """Eight branches to one place and, once it is remapped and flushed, eight to the other."""
    text = f"""
    start: mov $2, %esi
    again: mov $8, %ecx
    here: xor %edx, %edx
        {branch} start + {FAR - CODE}
    back: dec %ecx
        jnz here
        movl ${OTHER + 0x87}, {ENTRY}
        {flush}
        dec %esi
        jnz again
        hlt
    """
    made = assemble(text, CODE)
    back = made.symbols["back"]
    for where, add in ((FAR, 1), (OTHER, 16)):
        bench.write(where, assemble(f"start: add ${add}, %eax\njmp start - {FAR - back}", FAR).text)
    after = bench.run(made.text)
    assert after.exit == Exit.HALT
    assert after.rax == 8 + 8 * (16 if flush else 1)


def test_fall_into_another_page_follows_the_translation(bench: Bench) -> None:
    """The last instruction of a page comes before the first of the one that is mapped then."""
    text = f"""
    start: mov $2, %esi
    again: mov $8, %ecx
    here: jmp start + {FAR - 2 - CODE}
    back: dec %ecx
        jnz here
        movl ${OTHER + 0x87}, {ENTRY}
        invlpg {FAR}
        dec %esi
        jnz again
        hlt
    """
    made = assemble(text, CODE)
    back = made.symbols["back"]
    bench.write(FAR - 2, bytes.fromhex("ffc0"))  # inc %eax
    for where, add in ((FAR, 1), (OTHER, 16)):
        bench.write(where, assemble(f"start: add ${add}, %eax\njmp start - {FAR - back}", FAR).text)
    assert bench.run(made.text).rax == 8 * 2 + 8 * 17


@pytest.mark.parametrize("slice_size", [10_000, 100, 1])
def test_pause_takes_time_and_is_one_instruction(bench: Bench, slice_size: int) -> None:
    """However the run is cut into slices."""
    times: list[tuple[int, int]] = []
    for pauses in (0, 10):
        code = bytes.fromhex("0f31 89c6" + "f390" * pauses + "0f31 29f0 f4")
        before = bench.processor.icount
        after = bench.run(code, limit=slice_size)
        while after.exit == Exit.BUDGET:
            after = bench._result(bench.processor.run(slice_size))
        times.append((after.rax, bench.processor.icount - before))
    (short, few), (long, many) = times
    assert many - few == 10
    assert long - short == 10 * (PAUSE_TIME + 1)


def test_encodings_that_differ_in_nothing_share_a_handler() -> None:
    """Short and near branches, and the two encodings of SHL; not what differs in anything."""
    by_symbol = {item.symbol: symbol_of(item) for item in TABLE}
    assert by_symbol["JZ:74_Jb"] == by_symbol["JZ:0F_84_Jz:64"]
    assert by_symbol["JZ:74_Jb"] != by_symbol["JNZ:75_Jb"]
    assert by_symbol["SHL:D1_/4_Ev,1:64:mem"] == by_symbol["SHL:D1_/6_Ev,1:64:mem"]
    assert by_symbol["SHL:D1_/4_Ev,1:64:mem"] != by_symbol["SHL:D1_/4_Ev,1:32:mem"]
    for item in TABLE:
        shared = by_symbol[item.symbol].removeprefix("insn:")
        assert shared in by_symbol
