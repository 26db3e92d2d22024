"""Words of a control block by number: the quickest way to its fields.

A field's number is its offset divided by the word's size, from the declaration of the block, so
that names and offsets have one source.
"""

import struct
import sys
from typing import Literal

from worldswitch.arch.x86.segments import SegAttr
from worldswitch.arch.x86.vmcb import SAVE_OFFSET, VmcbControl, VmcbSave
from worldswitch.metal.interface import Registers


class SwappedWords:
    """Little-endian words of a buffer, on a host whose own are not."""

    def __init__(self, view: memoryview, code: str) -> None:
        self._view = view
        self._code = struct.Struct("<" + code)

    def __len__(self) -> int:
        return len(self._view) // self._code.size

    def __getitem__(self, index: int) -> int:
        return self._code.unpack_from(self._view, index * self._code.size)[0]

    def __setitem__(self, index: int, value: int) -> None:
        self._code.pack_into(self._view, index * self._code.size, value)


def words(view: memoryview, code: Literal["I", "Q"], byteorder: str = sys.byteorder) -> Registers:
    """Little-endian words of a buffer; `code` is the struct module's: I for 32 bits, Q for 64."""
    return view.cast(code) if byteorder == "little" else SwappedWords(view, code)


def _control(name: str, size: int) -> int:
    offset = VmcbControl.offset_of(name)
    assert offset % size == 0
    return offset // size


def _save(name: str) -> int:
    offset = SAVE_OFFSET + VmcbSave.offset_of(name)
    assert offset % 8 == 0
    return offset // 8


# Numbers of 32-bit words.
INTERCEPT_CR = _control("intercept_cr", 4)
ASID = _control("asid", 4)
INT_STATE = _control("int_state", 4)
CLEAN = _control("clean", 4)
CS_ATTRIBUTES = (SAVE_OFFSET + VmcbSave.offset_of("cs")) // 4
CS_LONG, CS_DEFAULT = SegAttr.L << 16, SegAttr.DB << 16
"""The word with the code segment's selector and attributes, and two of these."""
# Numbers of bytes.
TLB_CONTROL = _control("tlb_control", 1)
INSN_LEN = _control("insn_len", 1)
INSN_BYTES = _control("insn_bytes", 1)
# Numbers of 64-bit words.
TSC_OFFSET = _control("tsc_offset", 8)
V_INTR = _control("v_intr", 8)
EXIT_CODE = _control("exit_code", 8)
EXIT_INFO_1 = _control("exit_info_1", 8)
EXIT_INFO_2 = _control("exit_info_2", 8)
EXIT_INT_INFO = _control("exit_int_info", 8)
EVENT_INJ = _control("event_inj", 8)
NEXT_RIP = _control("next_rip", 8)
EFER = _save("efer")
CR0 = _save("cr0")
CR2 = _save("cr2")
CR3 = _save("cr3")
CR4 = _save("cr4")
RFLAGS = _save("rflags")
RIP = _save("rip")
RSP = _save("rsp")
RAX = _save("rax")
# Parts of the word with the virtual interrupt.
V_TPR = VmcbControl.mask_of("v_tpr")
V_IRQ = VmcbControl.mask_of("v_irq")
V_IGN_TPR = VmcbControl.mask_of("v_ign_tpr")
V_INTR_PRIO = VmcbControl.mask_of("v_intr_prio")
V_INTR_VECTOR = VmcbControl.mask_of("v_intr_vector")
PRIO_SHIFT = VmcbControl.bit_fields["v_intr_prio"].shift
VECTOR_SHIFT = VmcbControl.bit_fields["v_intr_vector"].shift
V_INTERRUPT = V_TPR | V_IRQ | V_IGN_TPR | V_INTR_PRIO | V_INTR_VECTOR
"""What changes from entry to entry."""
