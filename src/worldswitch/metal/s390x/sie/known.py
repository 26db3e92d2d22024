"""State descriptions that have passed the entry checks: what they were like then.

The checks are Python (arch/s390x/validity.py). A hypervisor enters the same guest again and again,
and seldom changes what the checks read: so native code compares that with a copy.
"""

import ctypes
import mmap
from typing import Any

from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.arch.s390x.validity import INPUTS, STABLE
from worldswitch.engine import Array, Struct, peek_u64, typed, u64
from worldswitch.metal.s390x.state import Cpu

WORDS = 24
BLOCKS = 64


class KnownBlock(Struct):
    """One state description, by its address in this process; 0 for none."""

    where: u64
    words: Array[u64, WORDS]


class KnownBlocks(Struct):
    """A direct-mapped table, and which words of a state description are compared."""

    count: u64
    offsets: Array[u64, WORDS]
    masks: Array[u64, WORDS]
    blocks: Array[KnownBlock, BLOCKS]


@typed(inline=True)
def slot(where: u64) -> u64:
    """Where in the table a state description belongs."""
    return ((where >> 9) ^ (where >> 12)) & (BLOCKS - 1)


@typed(inline=False)
def is_known(cpu: Cpu, where: u64) -> bool:
    """Whether a state description has been checked, and is as it was in all that checks read."""
    known = KnownBlocks.at(cpu.sie_known)
    block = known.blocks[slot(where)]
    if block.where != where:
        return False
    n: u64 = 0
    while n < known.count:
        if peek_u64(where + known.offsets[n]) & known.masks[n] != block.words[n]:
            return False
        n += 1
    return True


def _compared() -> dict[int, int]:
    """Masks of the doublewords that the checks read, in storage order, by offset."""
    masks: dict[int, bytearray] = {}
    for name in INPUTS:
        field = StateDescription.fields[name]
        size = field.end - field.offset
        bits = STABLE if name == "cpuflags" else (1 << 8 * size) - 1
        for n, byte in enumerate(bits.to_bytes(size, "big")):
            at = field.offset + n
            masks.setdefault(at & ~7, bytearray(8))[at & 7] |= byte
    return {offset: int.from_bytes(mask, "little") for offset, mask in sorted(masks.items())}


class Known:
    """The table of one processor, on the Python side."""

    def __init__(self, cpu: Any) -> None:
        """cpu: the raw native state of the processor, which gets the table."""
        self._memory = mmap.mmap(-1, KnownBlocks.size)
        self._raw = KnownBlocks.raw_at(ctypes.addressof(ctypes.c_char.from_buffer(self._memory)))
        compared = _compared()
        self._compared = list(compared.items())
        self._raw.count = len(compared)
        for n, (offset, mask) in enumerate(self._compared):
            self._raw.offsets[n], self._raw.masks[n] = offset, mask
        cpu.sie_known = ctypes.addressof(self._raw)

    def add(self, where: int) -> None:
        """A state description, by its address in this process, has passed the checks."""
        block = self._raw.blocks[((where >> 9) ^ (where >> 12)) % BLOCKS]
        block.where = where
        for n, (offset, mask) in enumerate(self._compared):
            block.words[n] = ctypes.c_uint64.from_address(where + offset).value & mask
