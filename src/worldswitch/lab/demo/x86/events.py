"""Scenes that no instruction asked for: interrupts, nested page faults, an entry refused.

ref: APM2 15.13 Interrupt Intercepts; APM2 15.21; APM2 15.25.6
"""

from collections.abc import Callable

from worldswitch.arch.x86.svm_controls import EventType, event
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.lab.demo.x86.scene import Scene
from worldswitch.lab.demo.x86.stage import Stage
from worldswitch.lab.demo.x86.tables import READ_ONLY
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.x86.pending import PENDING_INIT, PENDING_NMI, PENDING_SMI

SLICE = 1000
VECTOR = 0x31
FILL_IN = "Maps the page in its nested tables, and enters the guest again at the same instruction."


def _slice(stage: Stage) -> None:
    stage.block.control.v_intr_masking = 1
    stage.host.time_slice = SLICE


def _pending(bits: int) -> Callable[[Stage], None]:
    def arrange(stage: Stage) -> None:
        # VMRUN sets the global interrupt flag, which opens the way for what is pending.
        stage.host.clgi()
        stage.processor.make_pending(bits)

    return arrange


def _window(stage: Stage) -> None:
    control = stage.block.control
    control.v_irq, control.v_intr_vector, control.v_intr_prio = 1, VECTOR, VECTOR >> 4


def _absent(stage: Stage) -> None:
    stage.tables.unmap(stage.symbols["absent"])


def _read_only(stage: Stage) -> None:
    stage.tables.map(stage.symbols["rom"], READ_ONLY)


def _no_tables(stage: Stage) -> None:
    stage.tables.unmap(stage.symbols["tables"])


def _interrupted(stage: Stage) -> None:
    stage.block.save.rsp = stage.symbols["absent"] + 0x800
    stage.block.control.event_inj = event(EventType.INTR, VECTOR)
    _absent(stage)


def _asid_of_the_host(stage: Stage) -> None:
    stage.block.control.asid = 0


def _short_slice(stage: Stage) -> None:
    stage.host.time_slice = SLICE


EVENTS: tuple[Scene, ...] = (
    Scene(SvmExit.INTR, "nothing: the host's timer has interrupted it",
          "Sets the global interrupt flag, takes its interrupt, and enters the guest again.",
          "endless", _slice),
    Scene(SvmExit.NMI, "nothing: an NMI has come for the host",
          "Takes it behind STGI.", "endless", _pending(PENDING_NMI)),
    Scene(SvmExit.SMI, "nothing: an SMI has come for the host",
          "Lets its firmware take it behind STGI.", "endless", _pending(PENDING_SMI)),
    Scene(SvmExit.INIT, "nothing: an INIT has come for the host",
          "Lets it take effect behind STGI.", "endless", _pending(PENDING_INIT)),
    Scene(SvmExit.VINTR, "STI, with a virtual interrupt waiting",
          "Had wanted a window for interrupts: injects the one that is due.", "window", _window),
    Scene(SvmExit.NPF, "a load from a page that the host has not mapped", FILL_IN, "read", _absent),
    Scene(SvmExit.NPF, "a store to the memory of a video card",
          "Emulates the instruction for the device: there is no RAM.", "device"),
    Scene(SvmExit.NPF, "a store to a page that the host has as read-only",
          "Ignores the store, or makes a copy that is the guest's own.", "write", _read_only),
    Scene(SvmExit.NPF, "a jump into a page that the host has not mapped", FILL_IN, "fetch",
          _absent),
    Scene(SvmExit.NPF, "a load, for which its own page tables are not mapped", FILL_IN, "walk",
          _no_tables),
    Scene(SvmExit.NPF, "nothing: it was given an interrupt, and its stack is not mapped",
          "Maps the page, and injects what exit_int_info has once more.", "read", _interrupted),
    Scene(SvmExit.INVALID, "nothing: the VMCB is not valid",
          "Has a bug, which the broken rule names; the guest has executed nothing.", "endless",
          _asid_of_the_host),
    Scene(SvmExit.HLT, "ran until the host's time slice was over, and INTR is not intercepted",
          "Takes its interrupt, and goes on with the guest.", "slow", _short_slice,
          result=EntryResult.PREEMPTED),
)  # fmt: skip
"""In the order of the table."""
