"""`worldswitch demo`: both architectures, one, one switch, and hosts that lack something."""

import re

import pytest
from typer.testing import CliRunner

from worldswitch.cli.main import app
from worldswitch.cli.statuses import STATUS_USAGE
from worldswitch.lab import x86_assembler
from worldswitch.lab.demo.play import play_all


def run(*arguments: str) -> tuple[int, str]:
    """A command in this process: its status, and all that it printed."""
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_demo_printed_has_both_architectures() -> None:
    status, text = run("demo", "--engine", "python")
    assert status == 0
    for word in ("INST 04", "VALIDITY 20", "PV_NOTIFY 6C", "host fault"):
        assert word in text
    for word in ("CPUID 072", "NPF 400", "INVALID -1", "rule asid-zero", "preempted"):
        assert word in text


@pytest.mark.parametrize(
    ("architecture", "own", "other"), [("s390x", "INST 04", "VMRUN"), ("x86", "VMRUN 080", "SIE")]
)
def test_demo_of_one_architecture_has_no_other(architecture: str, own: str, other: str) -> None:
    status, text = run("demo", "--engine", "python", "--architecture", architecture)
    assert status == 0
    assert own in text
    assert other not in text
    assert re.search(rf"^ *1 .*{'INST 04' if own == 'INST 04' else 'CPUID 072'}", text, re.M)


def test_demo_of_an_unknown_architecture_ends_with_2() -> None:
    status, text = run("demo", "--architecture", "arm64")
    assert status == STATUS_USAGE
    assert "x86" in text


def test_demo_source_is_the_programs() -> None:
    status, text = run("demo", "--source")
    assert status == 0
    assert "diag %r1, %r3, 0x500" in text
    assert "vmmcall" in text
    status, text = run("demo", "--source", "--architecture", "s390x")
    assert status == 0
    assert "vmmcall" not in text


def test_demo_shown_one_switch_has_the_control_block() -> None:
    status, text = run("demo", "--engine", "python", "--show", "1")
    assert status == 0
    assert "icptcode" in text
    shown = ("demo", "--engine", "python", "--architecture", "x86", "--show")
    status, text = run(*shown, "1")
    assert status == 0
    assert re.search(r"070 control.exit_code +0x0000000000000072 +CPUID", text)
    status, text = run(*shown, "999")
    assert status == STATUS_USAGE
    assert "world switches" in text


def test_demo_shown_a_switch_of_the_second_table_has_a_vmcb() -> None:
    count = len(play_all("s390x", "python"))
    status, text = run("demo", "--engine", "python", "--show", str(count + 1))
    assert status == 0
    assert f" {count + 1} " in text
    assert "control.exit_code" in text


def test_demo_without_an_assembler_shows_the_rest_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Both may have been used before.
    x86_assembler._machine.cache_clear()
    x86_assembler.assemble.cache_clear()
    monkeypatch.setattr(x86_assembler.llvm, "get_default_triple", lambda: "aarch64-linux-gnu")
    status, text = run("demo", "--engine", "python")
    assert status == 0
    assert "INST 04" in text
    assert "x86-64 hosts only" in text
    assert run("demo", "--engine", "python", "--architecture", "x86")[0] == STATUS_USAGE
