"""A scene: how the VMCB is set, and what then happens."""

from collections.abc import Callable
from dataclasses import dataclass

from worldswitch.arch.x86.consistency import first_violation
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.lab.demo.switch import Switch
from worldswitch.lab.demo.x86.stage import Mode, Stage
from worldswitch.metal.interface import EntryResult


def nothing(stage: Stage) -> None:
    """The VMCB stays as it is."""


@dataclass(frozen=True)
class Scene:
    """One way out, whose intercept is set if it has one.

    label: where the guest starts; if not given, the name of the exit code. arrange: changes the
    stage before the entry. brief: one of several that say the same.
    """

    code: SvmExit
    did: str
    answer: str
    label: str = ""
    arrange: Callable[[Stage], None] = nothing
    mode: Mode = Mode.LONG
    result: EntryResult = EntryResult.EXIT
    brief: bool = False

    @property
    def start(self) -> str:
        """The label of the program where the guest starts."""
        return self.label or self.code.name.lower()


def play(stage: Stage, scene: Scene) -> Switch:
    """Prepare the guest, enter it, and note how it was left."""
    block = stage.prepare(scene.start, scene.mode)
    stage.intercept(scene.code)
    scene.arrange(stage)
    found = first_violation(block, stage.described)
    extra = () if found is None else (f"rule {found.rule}",)
    return stage.enter(scene.did, scene.answer, extra, scene.brief)
