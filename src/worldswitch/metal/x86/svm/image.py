"""What the processor holds of a VMCB between two VMRUNs, and which of it VMRUN reads anew.

#VMEXIT leaves the guest's state and the controls in `cpu.vmcb_image`. A later VMRUN of the VMCB at
the same physical address takes from there what the block's clean bits say has not changed, whether
that is so or not; all else is read from memory. ref: APM2 15.15 VMCB State Caching
"""

from typing import Any

from worldswitch.arch.x86.svm_controls import CLEAN_CONTROL, CLEAN_SAVE, Clean
from worldswitch.arch.x86.vmcb import SAVE_OFFSET, VmcbControl, VmcbSave
from worldswitch.engine import address_of, copy_bytes, peek_u32, typed, u64
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.svm.block import IMAGE, control, save
from worldswitch.metal.x86.svm.features import SVM_CLEAN_BITS

CLEAN = control("clean")
ALWAYS = (
    ("control", "tlb_control", 1),
    ("control", "int_state", 8),
    ("control", "event_inj", 8),
    ("control", "virt_ext", 8),
    ("control", "next_rip", 8),
    ("save", "rflags", 16),
    ("save", "rsp", 8),
    ("save", "rax", 8),
)
"""Area, first field and bytes of what no clean bit is about; RFLAGS and RIP are neighbours."""
IMAGE_SIZE = save("dbg_extn_cfg")
"""Bytes that are held: all that VMRUN reads."""


def _span(area: Any, base: int, name: str) -> tuple[int, int]:
    """First byte and the one behind the last of a field in the VMCB."""
    field = area.fields[name]
    return base + field.offset, base + field.end


def _ranges(bit: Clean) -> list[tuple[int, int]]:
    """The bytes of a group, as (offset, size), neighbours in one."""
    spans = [_span(VmcbControl, 0, name) for name in CLEAN_CONTROL.get(bit, ())]
    spans += [_span(VmcbSave, SAVE_OFFSET, name) for name in CLEAN_SAVE.get(bit, ())]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and merged[-1][1] == start:
            merged[-1] = merged[-1][0], end
        else:
            merged.append((start, end))
    return [(start, end - start) for start, end in merged]


def _copier(ranges: list[tuple[int, int]], name: str) -> Any:
    """A function that reads ranges of the VMCB into the image."""
    (offset, size), rest = ranges[0], ranges[1:]
    if not rest:

        @typed(inline=True, name=name)
        def last(cpu: Cpu) -> None:
            copy_bytes(address_of(cpu) + IMAGE + offset, cpu.vmcb + offset, size)

        return last
    more = _copier(rest, f"{name}_")

    @typed(inline=True, name=name)
    def copy(cpu: Cpu) -> None:
        copy_bytes(address_of(cpu) + IMAGE + offset, cpu.vmcb + offset, size)
        more(cpu)

    return copy


def _groups(bits: list[Clean]) -> Any:
    """A function that reads each group whose clean bit is zero."""
    bit, rest = int(bits[0]), bits[1:]
    read = _copier(_ranges(bits[0]), f"read_{bits[0].name}")
    if not rest:

        @typed(inline=True, name=f"refresh_{bit}")
        def last(cpu: Cpu, clean: u64) -> None:
            if clean & bit == 0:
                read(cpu)

        return last
    more = _groups(rest)

    @typed(inline=True, name=f"refresh_{bit}")
    def refresh(cpu: Cpu, clean: u64) -> None:
        if clean & bit == 0:
            read(cpu)
        more(cpu, clean)

    return refresh


_AREAS = {"control": control, "save": save}
_always = _copier([(_AREAS[area](name), size) for area, name, size in ALWAYS], "read_always")
# AVIC is not modelled: nothing of its group is read.
_refresh = _groups([bit for bit in Clean if bit is not Clean.AVIC])


@typed(inline=False)
def read_block(cpu: Cpu) -> None:
    """Bring the image up to date with the VMCB at `cpu.vmcb`, as its clean bits allow."""
    clean: u64 = 0
    if cpu.vmcb_cached == cpu.vmcb_physical + 1 and cpu.svm_features & SVM_CLEAN_BITS != 0:
        clean = u64(peek_u32(cpu.vmcb + CLEAN))
    if clean == 0:
        copy_bytes(address_of(cpu) + IMAGE, cpu.vmcb, IMAGE_SIZE)
    else:
        _always(cpu)
        _refresh(cpu, clean)
    cpu.vmcb_cached = cpu.vmcb_physical + 1
