"""The demonstration of SVM: every scene leaves the guest as it says. ref: APM2 15.6, C"""

import io
from itertools import pairwise

import pytest

from worldswitch.arch.x86.consistency import all_violations
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.lab.demo.play import play_all, print_switches
from worldswitch.lab.demo.switch import Switch
from worldswitch.lab.demo.x86.scene import Scene, play
from worldswitch.lab.demo.x86.scenes import SCENES
from worldswitch.lab.demo.x86.stage import Mode, Stage
from worldswitch.metal.interface import EntryResult

NESTED = [SvmExit.VMRUN, SvmExit.CPUID, SvmExit.VMMCALL]
RESERVED = {f"CR{n}_{access}" for n in (1, 5, 6, 7, *range(9, 16)) for access in ("READ", "WRITE")}
RESERVED |= {f"DR{n}_{access}" for n in range(8, 16) for access in ("READ", "WRITE")}
RESERVED |= {f"EXCP_{n}" for n in (9, 15, 20, 22, 23, 24, 25, 26, 27, 31)}
"""Registers and exceptions that do not exist."""
NO_PROGRAM = {"EXCP_NMI", "EXCP_MC", "BUSY", "IDLE_REQUIRED"}
"""What no guest can do: an NMI has a code of its own, and nothing breaks in the machine."""
UNMODELLED = {"EXCP_CP", "EXCP_HV", "EXCP_VC", "FERR_FREEZE", "SKINIT", "MONITOR", "MWAIT",
              "MWAIT_CONDITIONAL", "RDPRU", "EFER_WRITE_TRAP", "INVLPGB", "INVLPGB_ILLEGAL",
              "MCOMMIT", "TLBSYNC", "BUS_LOCK", "IDLE_HLT", "AVIC_INCOMPLETE_IPI", "AVIC_NOACCEL",
              "VMGEXIT", "INVALID_PMC"}  # fmt: skip
UNMODELLED |= {f"CR{n}_WRITE_TRAP" for n in range(16)}
"""Exits of what the processor does not have."""


@pytest.fixture(scope="module")
def switches() -> list[Switch]:
    return play_all("x86", "python")


def the(switches: list[Switch], code: SvmExit, did: str = "") -> Switch:
    """The first switch with a code, of those whose guest did something."""
    return next(s for s in switches if s.code is code and did in s.did)


def test_demonstration_native_agrees_with_python(switches: list[Switch]) -> None:
    native = play_all("x86", "native")
    assert [(s.result, s.code, s.details) for s in native] == [
        (s.result, s.code, s.details) for s in switches
    ]


@pytest.mark.parametrize(
    "number", range(len(SCENES)), ids=lambda n: f"{n}-{SCENES[n].code.name}-{SCENES[n].start}"
)
def test_scene_played_leaves_as_declared(number: int, switches: list[Switch]) -> None:
    assert switches[number].result is SCENES[number].result
    if SCENES[number].result is EntryResult.EXIT:
        assert switches[number].code is SCENES[number].code


def test_demonstration_whole_has_every_exit_that_is_modelled(switches: list[Switch]) -> None:
    shown = {s.code.name for s in switches if s.result is EntryResult.EXIT}
    assert not shown & (RESERVED | NO_PROGRAM | UNMODELLED)
    assert shown | RESERVED | NO_PROGRAM | UNMODELLED == set(SvmExit.__members__)
    assert {s.result for s in switches} == {EntryResult.EXIT, EntryResult.PREEMPTED}


def test_nested_guest_played_leaves_as_declared(switches: list[Switch]) -> None:
    nested = switches[len(SCENES) :]
    assert [switch.code for switch in nested] == NESTED
    assert nested[-1].details[0] == "rax 72: CPUID"
    assert Vmcb(bytearray(nested[1].block)).control.asid != (
        Vmcb(bytearray(nested[0].block)).control.asid
    )


def test_scene_played_twice_is_the_same() -> None:
    stage = Stage("python")
    chosen = [s for s in SCENES if s.start in ("port_ins", "excp_mf", "write", "slow", "excp_ac")]
    first = [play(stage, scene) for scene in chosen]
    other = play(stage, SCENES[0])
    assert [play(stage, scene) for scene in chosen] == first
    assert other.code is SvmExit.CPUID


def test_invalid_vmcb_names_the_rule(switches: list[Switch]) -> None:
    (switch,) = (s for s in switches if s.code is SvmExit.INVALID)
    assert switch.details[0] == "rule asid-zero"
    assert [v.rule for v in all_violations(switch.block)] == ["asid-zero"]
    assert switch.why == "INVALID -1"


@pytest.mark.parametrize(
    ("code", "did", "details"),
    [
        (SvmExit.IOIO, "IN from", ("exit_info_1 600011 IN 1 byte, port 60",)),
        (SvmExit.IOIO, "OUT to", ("exit_info_1 3F80010 OUT 1 byte, port 3F8",)),
        (SvmExit.IOIO, "INSW", ("exit_info_1 1F0022D IN STR REP 2 bytes, port 1F0, A64, ES",)),
        (SvmExit.IOIO, "OUTSB", ("exit_info_1 E90E1C OUT STR REP 1 byte, port E9, A64, DS",)),
        (SvmExit.MSR, "RDMSR", ("exit_info_1 0 RDMSR",)),
        (SvmExit.CR4_READ, "", ("exit_info_1 MOV RDX",)),
        (SvmExit.DR7_WRITE, "", ("exit_info_1 RCX",)),
        (SvmExit.SWINT, "", ("exit_info_1 80 vector",)),
        (SvmExit.INVLPG, "", ("exit_info_1 A004 linear address",)),
        (SvmExit.TASK_SWITCH, "", ("exit_info_1 20 selector", "exit_info_2 4000000000 FAR_JMP")),
        (SvmExit.EXCP_GP, "", ("exit_info_1 FFF8 error code",)),
        (SvmExit.EXCP_DF, "", ("exit_int_info 3380000B0D EXCEPTION #GP",)),
        (SvmExit.NPF, "video", (
            "exit_info_1 100000006 RW|US|FINAL", "exit_info_2 B8000 guest physical",
            "insn_bytes: mov byte ptr [0xb8000], 0x41",
        )),
        (SvmExit.NPF, "read-only", ("exit_info_1 100000007 P|RW|US|FINAL",)),
        (SvmExit.NPF, "page tables", ("exit_info_1 200000006 RW|US|GUEST_TABLE",)),
        (SvmExit.NPF, "stack", ("exit_int_info 80000031 INTR vector 31",)),
    ],
)  # fmt: skip
def test_information_printed_says_what_it_means(
    code: SvmExit, did: str, details: tuple[str, ...], switches: list[Switch]
) -> None:
    found = the(switches, code, did).details
    for detail in details:
        assert detail in found


def test_switch_kept_block_is_the_vmcb(switches: list[Switch]) -> None:
    block = Vmcb(bytearray(switches[0].block))
    assert (block.control.exit_code, block.save.rax) == (SvmExit.CPUID, 0x8000_0001)


def test_scenes_of_other_modes_execute_in_them(switches: list[Switch]) -> None:
    levels = {Mode.LONG: 0, Mode.USER: 3, Mode.PROTECTED: 0}
    for scene, switch in zip(SCENES, switches, strict=False):
        block = Vmcb(bytearray(switch.block))
        assert block.save.cpl == levels[scene.mode]
        assert bool(block.save.efer & 0x400) is (scene.mode is not Mode.PROTECTED)


def test_table_printed_has_a_line_for_each_switch(switches: list[Switch]) -> None:
    text = io.StringIO()
    print_switches("x86", switches, text, 24)
    lines = text.getvalue().splitlines()
    for number, switch in enumerate(switches, 24):
        assert any(line.startswith(f"{number:4}   {switch.why} ") for line in lines), switch.why
    assert max(map(len, lines)) <= 120
    assert text.getvalue().count("MOV from a control register") == 1


def test_scenes_of_a_kind_follow_each_other_and_the_others_have_distinct_texts() -> None:
    def text(scene: Scene) -> str:
        return scene.did

    kinds = [text(SCENES[0])]
    kinds += [text(b) for a, b in pairwise(SCENES) if text(a) != text(b)]
    assert len(set(kinds)) == len(kinds)
    assert all(a.brief and b.brief for a, b in pairwise(SCENES) if text(a) == text(b))
