"""The x86 part of the benchmark: its programs, its rows, missing peers."""

import shutil
from pathlib import Path

import pytest

from worldswitch.lab.bench import child
from worldswitch.lab.bench.report import measure
from worldswitch.lab.bench.rows import OURS
from worldswitch.lab.bench.x86 import boot, computing, exits, image, switch
from worldswitch.lab.bench.x86.computing import LOOP, NESTED, Bare, count_and_result
from worldswitch.lab.bench.x86.image import ORIGIN, elf_image, program
from worldswitch.lab.bench.x86.unicorn_exits import MISSING, unicorn
from worldswitch.lab.x86_assembler import UnavailableError
from worldswitch.machine.x86.machine import PcMachine


def crc_of_one_round() -> int:
    """What the mixed loop computes, computed by Python."""
    table: list[int] = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0xEDB88320 if n & 1 else 0)
        table.append(n)
    crc = 0xFFFFFFFF
    for byte in range(256):
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    for n in range(32, 0, -1):
        crc ^= n + 7 << 3 if n > 16 else n * 31
    return crc


def test_mixed_loop_computes_the_crc_that_python_computes() -> None:
    instructions, result = count_and_result(LOOP, 1)
    assert instructions > 10_000
    assert result == crc_of_one_round()


@pytest.mark.parametrize("name", [LOOP, NESTED])
def test_program_twice_as_long_has_twice_the_instructions(name: str) -> None:
    one, two, three = (count_and_result(name, rounds)[0] for rounds in (1, 2, 3))
    assert three - two == two - one


def test_nested_program_counts_its_exits() -> None:
    bare = Bare(NESTED, 100)
    bare.run()
    assert bare.result() == 100


@pytest.mark.parametrize("kind", exits.KINDS)
@pytest.mark.parametrize("compiled", [False, True])
def test_guest_leaves_by_each_kind_as_often_as_it_should(kind: str, compiled: bool) -> None:
    guest = exits.Guest(kind, 50, compiled)
    assert guest.run() > 0
    assert guest.run() > 0


def test_world_switch_counts_its_exits() -> None:
    """To the handler in Python, and to the compiled one; each checks the registers it counts in."""
    for row in switch.rows(True):
        measure_once = row.sides[OURS]
        assert measure_once() > 0
        assert measure_once() > 0


def test_program_patched_has_the_values_at_their_labels() -> None:
    made = program(LOOP, rounds=0x1234)
    at = made.symbols["rounds"] - ORIGIN
    assert int.from_bytes(made.text[at : at + 8], "little") == 0x1234


@pytest.mark.parametrize(("name", "wrong", "status"), [
    (LOOP, 0, 1), (LOOP, 1, 3), (NESTED, 0, 1), (NESTED, 1, 3),
])  # fmt: skip
def test_elf_image_run_by_the_pc_ends_with_the_verdict(
    tmp_path: Path, name: str, wrong: int, status: int
) -> None:
    expected = count_and_result(name, 2)[1] + wrong
    path = tmp_path / "program"
    path.write_bytes(elf_image(program(name, rounds=2, expected=expected)))
    machine = PcMachine(64 << 20)
    machine.load(path)
    assert machine.run().status == status


def test_row_of_the_loop_has_figures_of_ours(tmp_path: Path) -> None:
    (made,) = computing.loop_rows(True, tmp_path)
    assert made.sides[OURS]() > 0


def test_qemu_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    why = "qemu-system-x86_64 is not installed"
    assert child.qemu_missing(child.QEMU_X86) == why
    for rows in (computing.loop_rows, computing.nested_rows):
        (made,) = rows(True, tmp_path)
        assert made.missing[computing.TCG] == why


@pytest.mark.parametrize("kind", exits.KINDS)
def test_hooks_of_unicorn_see_each_exit_or_it_is_said_why(kind: str) -> None:
    if kind in MISSING:
        assert kind in MISSING[kind]
    else:
        assert unicorn(exits.NAME, kind, exits.KINDS[kind], 50)() > 0


def test_host_without_an_assembler_for_x86_has_rows_that_say_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: object) -> None:
        raise UnavailableError("no such target")

    monkeypatch.setattr(image, "assemble", fails)
    made = [*exits.rows(True), *computing.loop_rows(True, tmp_path)]
    made += computing.nested_rows(True, tmp_path)
    for outcome in measure(made, 1):
        assert "no such target" in outcome.missing[OURS]
        assert not outcome.figures


def test_boot_without_images_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORLDSWITCH_GUESTS", str(tmp_path))
    (made,) = boot.rows(quick=True)
    assert "--arch amd64" in made.missing[OURS]
    assert not made.sides
