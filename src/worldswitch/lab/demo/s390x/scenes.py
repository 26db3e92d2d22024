"""The scenes of the ordinary guest: how the state description is set, and what then happens."""

from collections.abc import Callable
from dataclasses import dataclass

from worldswitch.arch.s390x.sie_controls import CpuStat, Eca, Icpt, Ictl, Lctl, Svcc
from worldswitch.arch.s390x.validity import validity
from worldswitch.engine.build import Progress
from worldswitch.lab.demo.s390x.protected import ProtectedGuest
from worldswitch.lab.demo.s390x.stage import GUEST_SIZE, PSW_64, PSW_PER, Stage
from worldswitch.lab.demo.switch import Switch
from worldswitch.metal.interface import EntryResult

CLOCK_COMPARATOR_SUBCLASS = 0x800
PER_FETCH = 1 << 30
SLICE = 1000


def nothing(stage: Stage) -> None:
    """The state description stays as it is."""


@dataclass(frozen=True)
class Scene:
    """One way out. label: where the guest starts; arrange: changes the stage before the entry."""

    label: str
    code: Icpt
    did: str
    answer: str
    arrange: Callable[[Stage], None] = nothing
    result: EntryResult = EntryResult.EXIT


def _supervisor_call(stage: Stage) -> None:
    stage.block.svcc = Svcc.FIRST | 7 << 16


def _control_register(stage: Stage) -> None:
    stage.block.lctl = Lctl.CR6


def _swap(stage: Stage) -> None:
    block = stage.block
    block.ictl = Ictl.CS_CC1
    block.gpsw_mask = PSW_64 | PSW_PER
    where = stage.labels["swap"] + 6
    block.gcr[9], block.gcr[10], block.gcr[11] = PER_FETCH, where, where


def _operation(stage: Stage) -> None:
    stage.block.ictl = Ictl.OPEREXC


def _external(stage: Stage) -> None:
    stage.block.cpuflags |= CpuStat.EXT_INT


def _input_output(stage: Stage) -> None:
    stage.block.cpuflags |= CpuStat.IO_INT


def _stop(stage: Stage) -> None:
    stage.block.cpuflags |= CpuStat.STOP_INT


def _clock(stage: Stage) -> None:
    stage.block.gcr[0] |= CLOCK_COMPARATOR_SUBCLASS
    stage.block.ckc = 0


def _invalid(stage: Stage) -> None:
    stage.block.mso, stage.block.msl = GUEST_SIZE, 0


def _absent(stage: Stage) -> None:
    stage.block.eca = Eca.MVPGI
    stage.tables.unmap(stage.labels["absent"])


def _keyless(stage: Stage) -> None:
    stage.block.cpuflags |= CpuStat.KSS


def _short_slice(stage: Stage) -> None:
    stage.host.time_slice = SLICE


SCENES: tuple[Scene, ...] = (
    Scene("diagnose", Icpt.INST, "DIAGNOSE 0x500",
          "Does what the function code asks for, sets registers and condition code."),
    Scene("supervisor", Icpt.INST, "SUPERVISOR CALL 7",
          "Sees it because svcc names call 7; all others are the guest's own.",
          _supervisor_call),
    Scene("control", Icpt.INST, "LOAD CONTROL of register 6",
          "Loads it for the guest: lctl keeps register 6, others need no exit.",
          _control_register),
    Scene("program", Icpt.PROGI, "LOAD beyond its storage",
          "Injects the program interruption into the guest."),
    Scene("swap", Icpt.INSTPROGI, "COMPARE AND SWAP that fails, with a PER event",
          "Lets another CPU run, as the lock is held, and gives the guest its PER event.",
          _swap),
    Scene("operation", Icpt.OPEREXC, "an operation code that does not exist",
          "Emulates it, takes it for a breakpoint, or injects the exception.",
          _operation),
    Scene("requests", Icpt.EXTREQ, "enabled external interruptions",
          "Had asked with EXT_INT in cpuflags to know: injects what is pending.",
          _external),
    Scene("requests", Icpt.IOREQ, "enabled I/O interruptions",
          "Had asked with IO_INT in cpuflags to know: injects what is pending.",
          _input_output),
    Scene("requests", Icpt.STOP, "nothing: the host wants it stopped",
          "Had set STOP_INT in cpuflags: stops the CPU, or runs what it has queued for it.",
          _stop),
    Scene("requests", Icpt.EXTINT, "enabled interruptions when its clock comparator is due",
          "Injects the clock comparator's interruption.",
          _clock),
    Scene("wait", Icpt.WAIT, "loaded a wait PSW",
          "Sleeps until the guest's next timer or another CPU's signal."),
    Scene("diagnose", Icpt.VALIDITY, "nothing: the state description is not valid",
          "Has a bug, which the broken rule names; the guest has executed nothing.",
          _invalid),
    Scene("page", Icpt.PARTEXEC, "MOVE PAGE from a page that the host has not mapped",
          "Maps the page and enters the guest again at the same instruction.",
          _absent),
    Scene("pending", Icpt.IOINST, "TEST PENDING INTERRUPTION",
          "Answers from the I/O interruptions that it has pending.",
          _input_output),
    Scene("keys", Icpt.KSS, "INSERT STORAGE KEY, its first use of keys",
          "Turns keys on and has the instruction executed again.",
          _keyless),
    Scene("store", Icpt.NONE, "a store into a page that the host has not mapped",
          "Takes a page fault of its own, maps the page, enters the guest again.",
          _absent, EntryResult.HOST_FAULT),
    Scene("endless", Icpt.NONE, "ran until the host's time slice was over",
          "Looks at its own work and enters the guest again.",
          _short_slice, EntryResult.PREEMPTED),
)  # fmt: skip


def play(stage: Stage, scene: Scene) -> Switch:
    """Prepare the guest, enter it, and note how it was left."""
    block = stage.prepare(scene.label)
    scene.arrange(stage)
    report = validity(block, stage.host.checked_for)
    extra = () if report is None else (f"rule {report.rule}",)
    return stage.enter(scene.did, scene.answer, extra)


def play_all(engine: str = "native", progress: Progress | None = None) -> list[Switch]:
    """The ordinary guest's scenes, then the protected guest's."""
    stage = Stage(engine, progress)
    switches = [play(stage, scene) for scene in SCENES]
    return switches + ProtectedGuest(stage).play()
