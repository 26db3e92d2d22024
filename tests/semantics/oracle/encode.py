"""Instruction text from mnemonics and operands, by the processor's own table of formats."""

from functools import cache

import worldswitch.metal.s390x.insns
from worldswitch.metal.s390x.formats import FORMATS, SECOND_OPCODE, Kind
from worldswitch.metal.s390x.insn import TABLE, Insn

assert worldswitch.metal.s390x.insns.__name__, "imported for the table that it fills"


@cache
def by_mnemonic() -> dict[str, Insn]:
    """The table of instructions by mnemonic."""
    return {item.mnemonic: item for item in TABLE.values()}


def encode(item: Insn, at: int, operands: dict[str, int]) -> bytes:
    """The text of an instruction at address `at`; operands that are not given are zero.

    `target` is an address; the others are as the text has them.
    """
    position, width = SECOND_OPCODE[item.format]
    text = int(item.opcode[:2], 16) << 40
    if width:
        text |= int(item.opcode[2:], 16) << (48 - position - width)
    for operand in FORMATS[item.format]:
        value = operands.get(operand.name, 0)
        low = 48 - operand.position - operand.width
        if operand.kind is Kind.LONG_DISPLACEMENT:
            text |= (value & 0xFFF) << low | (value >> 12 & 0xFF) << (low - 8)
            continue
        if operand.kind is Kind.RELATIVE:
            value = (value - at) // 2
        text |= (value & (1 << operand.width) - 1) << low
    size = (2, 4, 4, 6)[text >> 46]
    return text.to_bytes(6, "big")[:size]


class Program:
    """Text that grows instruction by instruction from an address; `here` is the next one's."""

    def __init__(self, origin: int) -> None:
        self.origin = origin
        self.text = bytearray()
        self.fixes: list[tuple[int, Insn, dict[str, int], str]] = []
        self.labels: dict[str, int] = {}

    @property
    def here(self) -> int:
        """Address of the next instruction."""
        return self.origin + len(self.text)

    def label(self, name: str) -> None:
        """Name the address of the next instruction."""
        self.labels[name] = self.here

    def add(self, mnemonic: str, to: str = "", **operands: int) -> None:
        """Append an instruction; `to` names the label of its relative operand."""
        item = by_mnemonic()[mnemonic]
        if to:
            self.fixes.append((len(self.text), item, operands, to))
        self.text += encode(item, self.here, operands | ({"target": self.here} if to else {}))

    def finish(self) -> bytes:
        """The text, with labels resolved."""
        for offset, item, operands, to in self.fixes:
            text = encode(item, self.origin + offset, operands | {"target": self.labels[to]})
            self.text[offset : offset + len(text)] = text
        return bytes(self.text)
