"""The demonstration of SIE: scenes leave the guest as they say. ref: SIE interception codes."""

import io

import pytest

from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.lab.demo.play import play_all, print_switches
from worldswitch.lab.demo.s390x.fields import FIELDS
from worldswitch.lab.demo.s390x.scenes import SCENES, Scene, play
from worldswitch.lab.demo.s390x.stage import Stage
from worldswitch.lab.demo.switch import Switch
from worldswitch.metal.interface import EntryResult

PROTECTED = [
    Icpt.PV_INSTR,
    Icpt.INT_ENABLE,
    Icpt.MCHKREQ,
    Icpt.PV_NOTIFY,
    Icpt.PV_PREF,
    Icpt.PV_INSTR,
]


@pytest.fixture(scope="module")
def switches() -> list[Switch]:
    return play_all("s390x", "python")


def test_demonstration_native_agrees_with_python(switches: list[Switch]) -> None:
    native = play_all("s390x", "native")
    assert [(s.result, s.code, s.details) for s in native if s.why != "preempted"] == [
        (s.result, s.code, s.details) for s in switches if s.why != "preempted"
    ]


@pytest.mark.parametrize("number", range(len(SCENES)), ids=lambda n: f"{n}-{SCENES[n].label}")
def test_scene_played_leaves_as_declared(number: int, switches: list[Switch]) -> None:
    assert switches[number].result is SCENES[number].result
    assert switches[number].code is SCENES[number].code


def test_protected_guest_played_leaves_as_declared(switches: list[Switch]) -> None:
    assert [switch.code for switch in switches[len(SCENES) :]] == PROTECTED
    assert "secure storage" in switches[len(SCENES)].details[0]
    assert switches[len(SCENES)].block[0x90:0xA0] == bytes(16)  # no guest PSW to be seen


def test_demonstration_whole_has_every_interception(switches: list[Switch]) -> None:
    codes = {switch.code for switch in switches if switch.result is EntryResult.EXIT}
    assert codes == set(FIELDS)
    results = {switch.result for switch in switches}
    assert results == set(EntryResult)


def test_scene_played_twice_is_the_same() -> None:
    stage = Stage("python")
    scene = next(scene for scene in SCENES if scene.code is Icpt.PARTEXEC)
    first, other, again = (play(stage, s) for s in (scene, SCENES[0], scene))
    assert first == again
    assert other.code is Icpt.INST


def test_invalid_state_description_names_the_rule(switches: list[Switch]) -> None:
    (switch,) = (s for s in switches if s.code is Icpt.VALIDITY)
    assert switch.details[0] == "rule main-storage-extent"


def test_program_interception_names_the_exception(switches: list[Switch]) -> None:
    (switch,) = (s for s in switches if s.code is Icpt.PROGI)
    assert switch.details[0] == "iprcc 0005 ADDRESSING"


def test_switch_kept_block_is_the_state_description(switches: list[Switch]) -> None:
    block = StateDescription(bytearray(switches[0].block))
    assert (block.icptcode, block.ipa) == (Icpt.INST, 0x8313)


def test_table_printed_has_a_line_for_each_switch(switches: list[Switch]) -> None:
    text = io.StringIO()
    print_switches("s390x", switches, text)
    for switch in switches:
        assert switch.why in text.getvalue()
    assert max(map(len, text.getvalue().splitlines())) <= 120


def test_scenes_all_have_distinct_texts() -> None:
    def text(scene: Scene) -> str:
        return scene.did

    assert len({text(scene) for scene in SCENES}) == len(SCENES)
