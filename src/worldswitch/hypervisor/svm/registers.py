"""Where SVM keeps a guest's registers: the VMCB's fields by name, and their clean bits."""

from typing import TYPE_CHECKING, Any

from worldswitch.arch.x86.svm_controls import CLEAN_SAVE
from worldswitch.arch.x86.vmcb import VMLOAD_FIELDS
from worldswitch.hypervisor.svm.words import RAX, RSP
from worldswitch.hypervisor.x86.registers import RegisterFile
from worldswitch.hypervisor.x86.state import MASK64, Gr
from worldswitch.metal.interface import Registers

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.guest_state import SvmState

GROUPS: dict[str, int] = {
    name: int(group) for group, names in CLEAN_SAVE.items() for name in names
} | {"rip": 0, "rsp": 0, "rax": 0, "rflags": 0}
"""The group of each field that VMRUN loads; 0: it is never taken from the cache."""
LOADED_SEGMENTS = frozenset({"fs", "gs", "tr", "ldtr"})
BASES = {"fs_base": "fs", "gs_base": "gs"}


class SvmRegisters:
    """A guest's general registers: RAX and RSP are in the VMCB, the others where it is loaded."""

    __slots__ = ("_file", "_q")

    def __init__(self, file: RegisterFile, q: Registers) -> None:
        self._file = file
        self._q = q

    def __len__(self) -> int:
        return 16

    def __getitem__(self, n: int) -> int:
        if n == Gr.RAX:
            return self._q[RAX]
        return self._q[RSP] if n == Gr.RSP else self._file.bank[n]

    def __setitem__(self, n: int, value: int) -> None:
        value &= MASK64
        if n == Gr.RAX:
            self._q[RAX] = value
        elif n == Gr.RSP:
            self._q[RSP] = value
        else:
            self._file.bank[n] = value


def fields_of(vcpu: "SvmState", name: str) -> tuple[Any, str]:
    """The block and the field that hold a register, with what VMLOAD loads up to date."""
    if name in BASES:
        vcpu.store_loaded()
        return getattr(vcpu.save, BASES[name]), "base"
    if name in VMLOAD_FIELDS:
        vcpu.store_loaded()
    return vcpu.save, name
