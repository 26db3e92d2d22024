"""The benchmark: corrections, ratios, budgets, missing peers; its programs."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from worldswitch.cli.bench import NAMES
from worldswitch.lab.bench import boot, child, loop, switch
from worldswitch.lab.bench.image import ORIGIN, elf_image, kernel_image, program
from worldswitch.lab.bench.measure import MeasureError, Sample, alternate, figure
from worldswitch.lab.bench.report import as_object, measure, print_report
from worldswitch.lab.bench.rows import OURS, Budget, Row, deferred
from worldswitch.lab.bench.sections import NOT_QUICK, SECTIONS
from worldswitch.lab.s390x import S390Machine


def row(ours: float, theirs: float, budget: Budget | None = None, rate: bool = False) -> Row:
    """A row of two sides with fixed figures, not corrected for speed."""
    sides = {OURS: lambda: ours, "Peer": lambda: theirs}
    return Row("test", "a test", "s", budget, sides, rate=rate, corrected=False)


def printed(*rows: Row, repeat: int = 1) -> str:
    """The report of measured rows."""
    file = io.StringIO()
    print_report(measure(rows, repeat), file)
    return file.getvalue()


def test_figure_of_a_slow_sample_is_corrected() -> None:
    samples = [Sample(10.0, 1.0), Sample(20.0, 2.0)]
    assert figure(samples, 1.0, rate=False).median == 10
    assert figure([Sample(50.0, 2.0)], 1.0, rate=True).median == 100


def test_figure_not_corrected_keeps_its_values() -> None:
    made = figure([Sample(10.0, 1.0), Sample(30.0, 9.0)], 1.0, rate=False, corrected=False)
    assert (made.median, made.low, made.high, made.spread) == (20, 10, 30, 1)


def test_sides_measured_take_turns() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return 1.0

    alternate({name: lambda name=name: side(name) for name in ("a", "b")}, 2)
    assert order == ["a", "b", "a", "b"]


def test_side_that_fails_is_left_out_and_named() -> None:
    def fails() -> float:
        raise MeasureError("it rained")

    made = row(1, 2)
    made.sides["Peer"] = fails
    text = printed(made, repeat=3)
    assert "it rained" in text
    assert "missing" in text


@pytest.mark.parametrize(
    ("ours", "rate", "verdict"),
    [(1, False, "kept"), (4, False, "missed"), (1, True, "missed"), (4, True, "kept")],
)
def test_budget_relative_to_a_peer_is_judged(ours: float, rate: bool, verdict: str) -> None:
    budget = Budget(1.5, "Peer", "1.5 times Peer")
    outcome = measure([row(ours, 2, budget, rate)], 1)[0]
    assert outcome.ratio("Peer") == ours / 2
    assert outcome.met() is (verdict == "kept")
    assert f"1.5 times Peer: {verdict}" in printed(row(ours, 2, budget, rate))


def test_budget_of_a_missing_peer_is_unknown() -> None:
    made = row(1, 2, Budget(1.5, "Peer", "1.5 times Peer"))
    del made.sides["Peer"]
    made.missing["Peer"] = "not installed"
    assert measure([made], 1)[0].met() is None
    assert "unknown" in printed(made)


def test_report_as_object_is_json_with_samples() -> None:
    made = json.loads(json.dumps(as_object(measure([row(1, 2)], 2))))
    assert len(made["rows"][0]["figures"][OURS]["samples"]) == 2
    assert made["rows"][0]["figures"]["Peer"]["ratio_of_ours"] == 0.5


def test_ratio_of_each_figure_of_ours_stands_at_the_peer() -> None:
    made = row(1, 2)
    made.sides[f"{OURS} compiled"] = lambda: 8.0
    outcome = measure([made], 1)[0]
    assert outcome.ratios("Peer") == {OURS: 0.5, f"{OURS} compiled": 4.0}
    assert outcome.ratios(f"{OURS} compiled") == {}
    assert "compiled 4.00" in printed(made)


def test_budget_alone_is_for_the_first_figure_of_ours() -> None:
    made = row(1, 2, Budget(1.5, "Peer", "1.5 times Peer", alone=True))
    made.sides[f"{OURS} svm"] = lambda: 8.0
    outcome = measure([made], 1)[0]
    assert outcome.met() is True
    assert outcome.met(f"{OURS} svm") is None
    assert printed(made).count("1.5 times Peer") == 1


def test_side_deferred_is_made_once_and_when_it_is_measured() -> None:
    made: list[int] = []

    def make() -> Callable[[], float]:
        made.append(1)
        return lambda: 2.0

    side = deferred(make)
    assert not made
    assert (side(), side()) == (2.0, 2.0)
    assert len(made) == 1


def test_sections_named_by_the_command_are_those_that_exist() -> None:
    assert set(NAMES) == set(SECTIONS)
    assert set(NOT_QUICK) < set(SECTIONS)


def test_mixed_loop_computes_the_crc_that_python_computes() -> None:
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
    instructions, result = loop.count_and_result(1)
    assert instructions > 10_000
    assert result == crc


def test_mixed_loop_twice_as_long_has_twice_the_instructions() -> None:
    one, two, three = (loop.count_and_result(rounds)[0] for rounds in (1, 2, 3))
    assert three - two == two - one


def test_program_patched_has_the_values_at_their_labels() -> None:
    made = program("mixed_loop", rounds=0x1234)
    at = made.labels["rounds"] - ORIGIN
    assert int.from_bytes(made.text[at : at + 8], "big") == 0x1234
    assert len(made.text) < 0x480  # the kernel command line of such an image comes then


def test_elf_image_made_starts_with_its_header() -> None:
    made = elf_image(program("mixed_loop"))
    assert made[:4] == b"\x7fELF"
    assert int.from_bytes(made[24:32], "big") == ORIGIN


def test_kernel_image_made_has_the_mark_of_a_kernel(tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(kernel_image(program("first_instruction")))
    machine = S390Machine(16 << 20, engine="python")
    machine.load(path)
    assert machine.run().status == 0


def test_world_switch_measured_is_of_microseconds() -> None:
    for made in switch.rows(quick=True):
        assert 0 < made.sides[OURS]() < 1000


def test_boot_without_images_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORLDSWITCH_GUESTS", str(tmp_path))
    (made,) = boot.rows(quick=True)
    assert "make guests" in made.missing[OURS]
    assert not made.sides


def test_qemu_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert child.qemu_missing() == "qemu-system-s390x is not installed"


@pytest.mark.parametrize("command", [["/nonexistent"], ["false"]])
def test_command_that_fails_is_a_measure_error(command: list[str]) -> None:
    with pytest.raises(MeasureError):
        child.checked(command)
