"""The groups of intercepted instructions by the first byte of the opcode.

What further bits of the instruction choose within a group differs: the second byte, the last
digit of the first halfword, the last byte, or nothing.
"""

from collections.abc import Callable

from worldswitch.hypervisor.sie.instructions import (
    io,
    op_01,
    op_82,
    op_83,
    op_aa,
    op_ae,
    op_b6,
    op_b7,
    op_b9,
    op_e3,
    op_e5,
    op_eb,
)
from worldswitch.hypervisor.sie.instructions.privilege import Handler, Instructions


def _second_byte(ipa: int, ipb: int) -> int:
    return ipa & 0xFF


def _last_digit(ipa: int, ipb: int) -> int:
    return ipa & 0xF


def _last_byte(ipa: int, ipb: int) -> int:
    return ipb & 0xFF


def _nothing(ipa: int, ipb: int) -> int:
    return 0


GROUPS: dict[int, tuple[Instructions, Callable[[int, int], int]]] = {
    0x01: (op_01.group, _second_byte),
    0x82: (op_82.group, _nothing),
    0x83: (op_83.group, _nothing),
    0xAA: (op_aa.group, _last_digit),
    0xAE: (op_ae.group, _nothing),
    0xB2: (io.group, _second_byte),
    0xB6: (op_b6.group, _nothing),
    0xB7: (op_b7.group, _nothing),
    0xB9: (op_b9.group, _second_byte),
    0xE3: (op_e3.group, _last_byte),
    0xE5: (op_e5.group, _second_byte),
    0xEB: (op_eb.group, _last_byte),
}


def find(ipa: int, ipb: int) -> Handler | None:
    """The handler of an intercepted instruction, or None."""
    entry = GROUPS.get(ipa >> 8)
    if entry is None:
        return None
    group, selector = entry
    return group.get(selector(ipa, ipb))
