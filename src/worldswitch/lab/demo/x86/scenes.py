"""The scenes of the x86 guest, in the order of the table."""

from worldswitch.engine.build import Progress
from worldswitch.lab.demo.switch import Switch
from worldswitch.lab.demo.x86.events import EVENTS
from worldswitch.lab.demo.x86.exceptions import EXCEPTIONS
from worldswitch.lab.demo.x86.instructions import INSTRUCTIONS
from worldswitch.lab.demo.x86.nested import NestedGuest
from worldswitch.lab.demo.x86.scene import play
from worldswitch.lab.demo.x86.stage import Stage

SCENES = (*INSTRUCTIONS, *EXCEPTIONS, *EVENTS)


def play_all(engine: str = "native", progress: Progress | None = None) -> list[Switch]:
    """All scenes, then those of the guest that is a hypervisor itself."""
    stage = Stage(engine, progress)
    switches = [play(stage, scene) for scene in SCENES]
    return switches + NestedGuest(stage).play()
