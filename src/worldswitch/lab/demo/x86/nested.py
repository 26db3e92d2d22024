"""The guest as a hypervisor: its VMRUN, an exit of its own guest, and what it is told of that.

Three VMCBs are in play: that of the guest (01), the one that the guest has made for its guest (12),
and the one that its guest really executes with (02), which the host makes of both.
ref: APM2 15.5.1 Basic Operation; APM2 15.6 #VMEXIT
"""

from dataclasses import replace

from worldswitch.arch.x86.svm_controls import INTERCEPT_VECTORS, NestedControl
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import SAVE_OFFSET, SIZE, Vmcb
from worldswitch.lab.demo.switch import Switch
from worldswitch.lab.demo.x86.stage import GUEST, Stage

INNER_ASID = 2
REPORTED = ("exit_code", "exit_info_1", "exit_info_2", "exit_int_info", "next_rip", "int_state")
"""What #VMEXIT tells in the control area."""


class NestedGuest:
    """A guest that runs a guest."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def play(self) -> list[Switch]:
        """Run the guest's program from exit to exit."""
        stage = self._stage
        block = stage.prepare("nested")
        for code in (SvmExit.VMRUN, SvmExit.VMMCALL):
            stage.intercept(code)
        switches = [
            stage.enter(
                "VMRUN: the guest is a hypervisor",
                "Merges the guest's VMCB with its own, and enters the guest's guest with that.",
            )
        ]
        outer = bytes(block)
        where = block.save.rax
        switches[0] = _with(switches[0], f"rax {where:X}: its VMCB")
        inner = Vmcb(stage.storage.view, GUEST + where)
        self._merge(inner)
        switches.append(
            stage.enter(
                "CPUID in the guest's guest",
                "Stores the exit in the guest's VMCB: the guest had asked for it. Goes on there "
                "behind VMRUN.",
            )
        )
        self._reflect(inner)
        block.write(outer)
        block.save.rip = block.control.next_rip
        switches.append(
            stage.enter(
                "VMMCALL, with the EXITCODE that it found in RAX",
                "Nothing: the guest has run a guest without having noticed.",
            )
        )
        found = SvmExit(block.save.rax)
        switches[-1] = _with(switches[-1], f"rax {found:X}: {found.name}")
        return switches

    def _merge(self, inner: Vmcb) -> None:
        """Make the VMCB 02: the guest's guest, on the host's nested tables, with all intercepts."""
        own = self._stage.block
        control = own.control
        for name in INTERCEPT_VECTORS:
            both = getattr(control, name) | getattr(inner.control, name)
            setattr(control, name, both)
        control.asid, control.nested_control = INNER_ASID, NestedControl.NP_ENABLE
        pat = own.save.g_pat
        buffer = self._stage.storage.view
        where = self._stage.where + SAVE_OFFSET
        buffer[where : where + SIZE - SAVE_OFFSET] = bytes(inner)[SAVE_OFFSET:]
        own.save.g_pat = pat  # the guest has no nested paging, so its own PAT is in force

    def _reflect(self, inner: Vmcb) -> None:
        """Tell the guest of the exit, as #VMEXIT would have."""
        own = self._stage.block
        for name in REPORTED:
            setattr(inner.control, name, getattr(own.control, name))
        for name in ("rip", "rsp", "rax", "rflags"):
            setattr(inner.save, name, getattr(own.save, name))


def _with(switch: Switch, detail: str) -> Switch:
    return replace(switch, details=(detail, *switch.details))
