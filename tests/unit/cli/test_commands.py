"""The commands: what they print, and their exit statuses."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.guests.broken_vmcbs import long_mode
from worldswitch.arch.s390x.state_description import SIZE, StateDescription
from worldswitch.cli import main as command
from worldswitch.cli.cpus import ranges
from worldswitch.cli.main import app
from worldswitch.cli.statuses import (
    STATUS_INTERNAL,
    STATUS_INTERRUPTED,
    STATUS_OUTPUT,
    STATUS_PIPE,
    STATUS_USAGE,
)
from worldswitch.lab.bench.image import elf_image
from worldswitch.machine.result import STATUS_CRASHED, STATUS_RESTART, STATUS_TIMEOUT
from worldswitch.metal.s390x.assembler import assemble

STOP = """
        larl %r9, address
        stap 0(%r9)
        llgh %r1, 0(%r9)
        sigp %r3, %r1, 5
        .align 8
address: .quad 0
"""
CRASH = "larl %r1, psw\n lpswe 0(%r1)\n .align 8\npsw: .quad 0x0002000180000000, 0xBAD"
ENDLESS = "again: j again"
FULL = Path("/dev/full")


def run(*arguments: object) -> tuple[int, str]:
    """A command in this process: its status, and all that it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write(tmp_path, STOP)


def write(folder: Path, text: str) -> Path:
    """An ELF program."""
    path = folder / "guest"
    path.write_bytes(elf_image(assemble(text, 0x10000)))
    return path


def test_run_of_a_guest_that_stops_ends_with_0(image: Path) -> None:
    assert run("run", image, "-m", "16M", "--engine", "python") == (0, "")


def test_run_of_a_guest_that_crashes_ends_with_3_and_a_diagnosis(tmp_path: Path) -> None:
    status, text = run("run", write(tmp_path, CRASH), "-m", "16M", "--engine", "python")
    assert status == STATUS_CRASHED
    assert "disabled wait" in text
    assert "GR0" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("subcode", [0, 1, 3, 4])
@pytest.mark.parametrize("hypervisor", ["none", "sie"])
def test_run_of_a_guest_that_restarts_ends_with_4(
    tmp_path: Path, hypervisor: str, subcode: int
) -> None:
    text = f"lghi %r3, {subcode}\n diag %r2, %r3, 0x308\nagain: j again"
    arguments = ("-m", "16M", "--engine", "python", "--hypervisor", hypervisor)
    status, output = run("run", write(tmp_path, text), *arguments)
    assert (status, output) == (STATUS_RESTART, "worldswitch: the guest asked for a restart\n")


@pytest.mark.parametrize("clock", ["virtual", "real"])
def test_run_beyond_its_timeout_ends_with_124(tmp_path: Path, clock: str) -> None:
    arguments = ("--timeout", "0.2", "-m", "16M", "--clock", clock)
    assert run("run", write(tmp_path, ENDLESS), *arguments)[0] == STATUS_TIMEOUT


@pytest.mark.parametrize(("hypervisor", "event"), [("none", "SIGP"), ("sie", "INST")])
def test_run_with_stat_prints_the_table(image: Path, hypervisor: str, event: str) -> None:
    arguments = ("-m", "16M", "--engine", "python", "--hypervisor", hypervisor, "--stat")
    status, text = run("run", image, *arguments)
    assert status == 0
    assert event in text
    assert "Total samples:" in text


@pytest.mark.parametrize(("hypervisor", "event"), [("none", "SIGP"), ("sie", "INST")])
def test_run_with_trace_writes_it(image: Path, tmp_path: Path, hypervisor: str, event: str) -> None:
    files = tmp_path / "first.json", tmp_path / "second.json"
    for file in files:
        arguments = ("-m", "16M", "--engine", "python", "--hypervisor", hypervisor)
        assert run("run", image, *arguments, "--trace", file)[0] == 0
    assert event in {entry.get("name") for entry in json.loads(files[0].read_text())}
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ("/nonexistent",),
        ("{}", "--cpu", "z99"),
        ("{}", "-m", "12Q"),
        ("{}", "-m", "1M"),
        ("{}", "-m", "9999G"),
        ("{}", "--smp", "0"),
        ("{}", "--clock", "sundial"),
        ("{}", "--engine", "steam"),
        ("{}", "--hypervisor", "none at all"),
        ("{}", "--initrd", "/nonexistent"),
        ("{}", "--module", "/nonexistent quiet"),
        ("{}", "--trace", "/nonexistent/trace"),
    ],
)
def test_run_misused_ends_with_2_and_a_message(image: Path, arguments: tuple[str, ...]) -> None:
    status, text = run("run", *(word.format(image) for word in arguments))
    assert status == STATUS_USAGE
    assert text.strip()
    assert "Traceback" not in text


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["check", "vmcb", "--help"]])
def test_help_that_nobody_reads_ends_with_141(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "worldswitch", *words]
    result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (result.returncode, result.stderr) == (STATUS_PIPE, b"")


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["cpus"]])
def test_output_that_cannot_be_written_ends_with_74(words: list[str]) -> None:
    command = [sys.executable, "-m", "worldswitch", *words]
    with FULL.open("wb") as output:
        result = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, check=False)
    assert result.returncode == STATUS_OUTPUT
    assert b"No space left on device" in result.stderr
    assert b"fault of Worldswitch" not in result.stderr


def test_run_interrupted_ends_with_130_and_the_terminal_as_it_was(tmp_path: Path) -> None:
    path = write(tmp_path, ENDLESS)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "worldswitch", "run", str(path), "-m", "16M"]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        raw = False
        for _ in range(600):
            time.sleep(0.1)
            # Raw mode has come when the line discipline no longer turns Ctrl-C into a signal.
            flags = subprocess.run(["stty", "-a"], stdin=theirs, capture_output=True, text=True)
            if raw := "-isig" in flags.stdout:
                break
        assert raw
        os.write(ours, b"\x03")
        assert child.wait(30) == STATUS_INTERRUPTED
    flags = subprocess.run(["stty", "-a"], stdin=theirs, capture_output=True, text=True)
    assert "-isig" not in flags.stdout
    os.close(ours)
    os.close(theirs)


def test_run_sent_an_interrupt_ends_with_130(tmp_path: Path) -> None:
    path, trace = write(tmp_path, ENDLESS), tmp_path / "trace"
    words = [sys.executable, "-m", "worldswitch", "run", str(path), "-m", "16M"]
    with subprocess.Popen([*words, "--trace", str(trace)], stderr=subprocess.PIPE) as child:
        for _ in range(600):
            time.sleep(0.1)
            if trace.exists():
                break
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
    assert child.returncode == STATUS_INTERRUPTED
    assert b"Traceback" not in errors


def test_check_of_a_valid_block_ends_with_0(tmp_path: Path) -> None:
    path = tmp_path / "block"
    path.write_bytes(bytes(StateDescription.new(cpuflags=0x800, msl=0xFFFFF)))
    status, text = run("check", "sie-block", path)
    assert status == 0
    assert "ZARCH" in text


def test_check_of_an_invalid_block_ends_with_1_and_names_the_rule(tmp_path: Path) -> None:
    path = tmp_path / "block"
    path.write_bytes(bytes(StateDescription.new(cpuflags=0x800, mso=0x200000, msl=0x100000)))
    status, text = run("check", "sie-block", path)
    assert status == 1
    assert "main-storage-extent" in text


@pytest.mark.parametrize("data", [b"", bytes(SIZE - 1), bytes(SIZE + 1)])
def test_check_of_a_wrong_size_ends_with_2(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "block"
    path.write_bytes(data)
    status, text = run("check", "sie-block", path)
    assert status == STATUS_USAGE
    assert "512" in text


@pytest.mark.parametrize("path", ["/nonexistent", "/"])
def test_check_of_what_cannot_be_read_ends_with_2(path: str) -> None:
    status, text = run("check", "sie-block", path)
    assert status == STATUS_USAGE
    assert "Traceback" not in text


@pytest.fixture
def vmcb(tmp_path: Path) -> Path:
    path = tmp_path / "vmcb"
    path.write_bytes(bytes(long_mode()))
    return path


def test_check_of_a_valid_vmcb_ends_with_0(vmcb: Path) -> None:
    status, text = run("check", "vmcb", vmcb)
    assert status == 0
    assert "control.asid" in text and "LME|LMA|NXE|SVME" in text


def test_check_of_an_invalid_vmcb_ends_with_1_and_names_rule_and_section(vmcb: Path) -> None:
    vmcb.write_bytes(bytes(long_mode(asid=0, efer=0)))
    status, text = run("check", "vmcb", vmcb)
    assert status == 1
    for line in ("efer-svme: ", "asid-zero: ", "APM2 15.5.1"):
        assert line in text


def test_check_of_a_vmcb_cuts_long_reserved_areas_short(vmcb: Path) -> None:
    vmcb.write_bytes(bytes(long_mode())[:0xC00] + b"\xff" * 0x400)
    status, text = run("check", "vmcb", vmcb)
    assert status == 0
    assert max(map(len, text.splitlines())) < 150


def test_check_of_a_vmcb_depends_on_the_processor(vmcb: Path) -> None:
    status, text = run("check", "vmcb", vmcb, "--cpu", "epyc-milan,-shstk")
    assert status == 1
    assert "cr4-reserved: " in text


@pytest.mark.parametrize("cpu", ["nothing", "max,+wings", "x86-64-v2", "max,-svm", ""])
def test_check_of_a_vmcb_for_a_wrong_processor_ends_with_2(vmcb: Path, cpu: str) -> None:
    status, text = run("check", "vmcb", vmcb, "--cpu", cpu)
    assert status == STATUS_USAGE
    assert "--cpu" in text and "Traceback" not in text


@pytest.mark.parametrize("data", [b"", bytes(4095), bytes(4097)])
def test_vmcb_of_a_wrong_size_ends_with_2(tmp_path: Path, vmcb: Path, data: bytes) -> None:
    path = tmp_path / "block"
    path.write_bytes(data)
    for arguments in (("check", "vmcb", path), ("diff", "vmcb", vmcb, path)):
        status, text = run(*arguments)
        assert status == STATUS_USAGE
        assert "4096" in text and "Traceback" not in text


@pytest.mark.parametrize("path", ["/nonexistent", "/"])
def test_vmcb_that_cannot_be_read_ends_with_2(vmcb: Path, path: str) -> None:
    for arguments in (("check", "vmcb", path), ("diff", "vmcb", vmcb, path)):
        status, text = run(*arguments)
        assert status == STATUS_USAGE
        assert "Traceback" not in text


def test_diff_of_equal_vmcbs_ends_with_0_and_says_nothing(vmcb: Path) -> None:
    assert run("diff", "vmcb", vmcb, vmcb) == (0, "")


def test_diff_of_vmcbs_ends_with_1_and_names_the_fields(tmp_path: Path, vmcb: Path) -> None:
    other = tmp_path / "other"
    block = long_mode(asid=8)
    block.save.cs.selector = 0x10
    other.write_bytes(bytes(block)[:0xFFF] + b"\x01")
    status, text = run("diff", "vmcb", vmcb, other)
    assert status == 1
    assert [line.split()[:2] for line in text.splitlines()] == [
        ["058", "control.asid"],
        ["410", "save.cs.selector"],
        ["FFF", "save.reserved_7c8"],
    ]
    assert "00 -> 01" in text
    assert "0x00000007 -> 0x00000008 (APM2 15.16)" in text


def test_cpus_listed_have_models_and_facilities() -> None:
    status, text = run("cpus", "--facilities")
    assert status == 0
    assert "z14" in text
    assert "modelled" in text


@pytest.mark.parametrize(
    ("numbers", "text"), [({1, 2, 3, 7}, "1-3 7"), ({1, 2}, "1 2"), (set[int](), ""), ({5}, "5")]
)
def test_ranges_of_numbers_fold_three_and_more(numbers: set[int], text: str) -> None:
    assert ranges(frozenset(numbers)) == text


def test_bench_of_an_unknown_section_ends_with_2() -> None:
    status, text = run("bench", "nothing")
    assert status == STATUS_USAGE
    assert "boot" in text


def test_internal_error_ends_with_70_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(command, "app", broken)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == STATUS_INTERNAL
    assert "the sky fell" in capsys.readouterr().err
