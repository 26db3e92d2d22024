"""Decoding of the instructions that guests use on memory-mapped devices.

Only one that has a memory operand, or is a string instruction, can be here: what else a guest
executes never touches a device. ref: APM3 1.2 Instruction Prefixes; APM3 A Opcode Maps
"""

from dataclasses import dataclass

from worldswitch.arch.x86.segments import SegmentNumber

MOST_BYTES = 15
PREFIX_SEGMENTS = {
    0x26: SegmentNumber.ES,
    0x2E: SegmentNumber.CS,
    0x36: SegmentNumber.SS,
    0x3E: SegmentNumber.DS,
    0x64: SegmentNumber.FS,
    0x65: SegmentNumber.GS,
}
STACK_REGISTERS = (4, 5)
"""rSP and rBP: as bases they address the stack segment. ref: APM3 1.2.4."""

# Operands. M: the memory operand, R: the register in ModRM, A: rAX, I: an immediate value.
LOAD, STORE, STORE_IMMEDIATE = "R<M", "M<R", "M<I"

LOADS, STORES = 1, 2


@dataclass(frozen=True, slots=True)
class Form:
    """What an opcode does: the operation, its operands, and how it is encoded.

    size: bytes of the operand; 0: by the operand-size prefix. source: bytes of the memory operand
    where it is another size. immediate: bytes of it, 4 standing for 2 with 16-bit operands.
    wide: 64 bits are the default in 64-bit mode.
    """

    name: str
    operands: str
    size: int = 0
    source: int = 0
    immediate: int = 0
    wide: bool = False
    modrm: bool = True
    signed: bool = False


@dataclass(slots=True)
class Instruction:
    """One decoded instruction. index and base are register numbers, -1 if there is none."""

    form: Form
    length: int
    size: int
    """Bytes of the operand."""
    memory_size: int
    """Bytes of the memory operand."""
    address_size: int
    register: int = 0
    """The register operand."""
    byte_high: bool = False
    """Whether the register operand is AH, CH, DH or BH (`register` being 0 to 3)."""
    base: int = -1
    index: int = -1
    scale: int = 1
    displacement: int = 0
    rip_relative: bool = False
    segment: int = SegmentNumber.DS
    immediate: int = 0
    repeat: int = 0
    """F2 or F3, or 0."""
    rex: bool = False
    simple: int = 0
    """LOADS or STORES if it does nothing else, with one operand in storage; 0 otherwise."""


class UndecodableError(Exception):
    """The bytes are no instruction that is known here, or not all of one."""


ALU = ("add", "or", "adc", "sbb", "and", "sub", "xor", "cmp")
ONE: dict[int, Form] = {
    0x63: Form("movsx", LOAD, source=4, signed=True),
    0x84: Form("test", STORE, 1),
    0x85: Form("test", STORE),
    0x86: Form("xchg", STORE, 1),
    0x87: Form("xchg", STORE),
    0x88: Form("mov", STORE, 1),
    0x89: Form("mov", STORE),
    0x8A: Form("mov", LOAD, 1),
    0x8B: Form("mov", LOAD),
    0x8F: Form("pop", "M", wide=True),
    0xA0: Form("mov", "A<O", 1, modrm=False),
    0xA1: Form("mov", "A<O", modrm=False),
    0xA2: Form("mov", "O<A", 1, modrm=False),
    0xA3: Form("mov", "O<A", modrm=False),
    0xA4: Form("movs", "string", 1, modrm=False),
    0xA5: Form("movs", "string", modrm=False),
    0xA6: Form("cmps", "string", 1, modrm=False),
    0xA7: Form("cmps", "string", modrm=False),
    0xAA: Form("stos", "string", 1, modrm=False),
    0xAB: Form("stos", "string", modrm=False),
    0xAC: Form("lods", "string", 1, modrm=False),
    0xAD: Form("lods", "string", modrm=False),
    0xAE: Form("scas", "string", 1, modrm=False),
    0xAF: Form("scas", "string", modrm=False),
}
TWO: dict[int, Form] = {
    0xA3: Form("bt", STORE),
    0xAB: Form("bts", STORE),
    0xB0: Form("cmpxchg", STORE, 1),
    0xB1: Form("cmpxchg", STORE),
    0xB3: Form("btr", STORE),
    0xB6: Form("movzx", LOAD, source=1),
    0xB7: Form("movzx", LOAD, source=2),
    0xBB: Form("btc", STORE),
    0xBE: Form("movsx", LOAD, source=1, signed=True),
    0xBF: Form("movsx", LOAD, source=2, signed=True),
    0xC0: Form("xadd", STORE, 1),
    0xC1: Form("xadd", STORE),
    0xC3: Form("mov", STORE),  # MOVNTI
}
for _number, _name in enumerate(ALU):
    ONE[8 * _number + 0] = Form(_name, STORE, 1)
    ONE[8 * _number + 1] = Form(_name, STORE)
    ONE[8 * _number + 2] = Form(_name, LOAD, 1)
    ONE[8 * _number + 3] = Form(_name, LOAD)
GROUPS: dict[tuple[int, int], Form] = {
    (0xC6, 0): Form("mov", STORE_IMMEDIATE, 1, immediate=1),
    (0xC7, 0): Form("mov", STORE_IMMEDIATE, immediate=4),
    (0xF6, 0): Form("test", STORE_IMMEDIATE, 1, immediate=1),
    (0xF6, 1): Form("test", STORE_IMMEDIATE, 1, immediate=1),
    (0xF7, 0): Form("test", STORE_IMMEDIATE, immediate=4),
    (0xF7, 1): Form("test", STORE_IMMEDIATE, immediate=4),
    (0xF6, 2): Form("not", "M", 1),
    (0xF7, 2): Form("not", "M"),
    (0xF6, 3): Form("neg", "M", 1),
    (0xF7, 3): Form("neg", "M"),
    (0xFE, 0): Form("inc", "M", 1),
    (0xFE, 1): Form("dec", "M", 1),
    (0xFF, 0): Form("inc", "M"),
    (0xFF, 1): Form("dec", "M"),
    (0xFF, 6): Form("push", "M", wide=True),
    (0x0FBA, 4): Form("bt", STORE_IMMEDIATE, immediate=1),
    (0x0FBA, 5): Form("bts", STORE_IMMEDIATE, immediate=1),
    (0x0FBA, 6): Form("btr", STORE_IMMEDIATE, immediate=1),
    (0x0FBA, 7): Form("btc", STORE_IMMEDIATE, immediate=1),
}
for _number, _name in enumerate(ALU):
    GROUPS[0x80, _number] = Form(_name, STORE_IMMEDIATE, 1, immediate=1)
    GROUPS[0x81, _number] = Form(_name, STORE_IMMEDIATE, immediate=4)
    GROUPS[0x83, _number] = Form(_name, STORE_IMMEDIATE, immediate=1)
_GROUPED = frozenset(opcode for opcode, _ in GROUPS)
_BASES_16 = ((3, 6), (3, 7), (5, 6), (5, 7), (6, -1), (7, -1), (5, -1), (3, -1))
"""Base and index by r/m with 16-bit addresses. ref: APM3 A.3."""


class _Text:
    """The bytes, and how far they are decoded."""

    def __init__(self, data: bytes) -> None:
        self.data = data[:MOST_BYTES]
        self.at = 0

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise UndecodableError(f"instruction goes on behind {self.data.hex(' ')}")
        self.at += 1
        return self.data[self.at - 1]

    def signed(self, size: int) -> int:
        return int.from_bytes(bytes(self.byte() for _ in range(size)), "little", signed=True)


def decode(data: bytes, long_mode: bool, default_size: int) -> Instruction:
    """The instruction at the beginning of `data`; UndecodableError if it is none that is known.

    long_mode: 64-bit mode. default_size: bytes of operands and addresses without prefixes, 2 or 4,
    which 64-bit mode ignores.
    """
    text = _Text(data)
    rex = repeat = 0
    segment: int | None = None
    operand_prefix = address_prefix = False
    while True:
        byte = text.byte()
        if byte == 0x66:
            operand_prefix = True
        elif byte == 0x67:
            address_prefix = True
        elif byte in (0xF2, 0xF3):
            repeat = byte
        elif byte in PREFIX_SEGMENTS:
            number = PREFIX_SEGMENTS[byte]
            if not long_mode or number >= SegmentNumber.FS:
                segment = number
        elif byte != 0xF0:
            if long_mode and byte & 0xF0 == 0x40:
                rex = byte
                byte = text.byte()
            break
    form, modrm = _form(text, byte)
    if long_mode:
        size = 8 if rex & 8 or (form.wide and not operand_prefix) else 2 if operand_prefix else 4
        address_size = 4 if address_prefix else 8
    else:
        size = default_size ^ 6 if operand_prefix else default_size
        address_size = default_size ^ 6 if address_prefix else default_size
        if byte == 0x63:
            raise UndecodableError("ARPL does not access devices")
    size = form.size or size
    insn = Instruction(form, 0, size, form.source or size, address_size)
    insn.repeat, insn.rex = repeat, bool(rex)
    if modrm >= 0:
        _operands(text, insn, modrm, rex, long_mode)
        _byte_register(insn)
    elif "O" in form.operands:
        insn.displacement = text.signed(address_size)
    if segment is not None:
        insn.segment = segment
    if form.immediate:
        insn.immediate = text.signed(2 if form.immediate == 4 and size == 2 else form.immediate)
    insn.length = text.at
    if form.name in ("mov", "movzx", "movsx"):
        insn.simple = LOADS if form.operands in ("R<M", "A<O") else STORES
    return insn


def _form(text: _Text, byte: int) -> tuple[Form, int]:
    """The opcode's form and its ModRM byte, -1 if it has none."""
    opcode, forms = byte, ONE
    if byte == 0x0F:
        byte = text.byte()
        opcode, forms = 0x0F00 | byte, TWO
    form = forms.get(byte)
    if form is not None and not form.modrm:
        return form, -1
    if form is None and opcode not in _GROUPED:
        raise UndecodableError(f"opcode {text.data[: text.at].hex(' ')}")
    modrm = text.byte()
    if form is None:
        form = GROUPS.get((opcode, modrm >> 3 & 7))
    elif byte == 0x8F and modrm & 0x38:
        form = None
    if form is None or modrm >= 0xC0:
        raise UndecodableError(f"no memory operand in {text.data[: text.at].hex(' ')}")
    return form, modrm


def _byte_register(insn: Instruction) -> None:
    """Registers 4 to 7 of one byte are AH to BH without REX. ref: APM3 1.2.7."""
    if insn.size == 1 and not insn.rex and 4 <= insn.register <= 7:
        insn.register -= 4
        insn.byte_high = True


def _operands(text: _Text, insn: Instruction, modrm: int, rex: int, long_mode: bool) -> None:
    insn.register = (modrm >> 3 & 7) | (rex & 4) << 1
    mod, rm = modrm >> 6, modrm & 7
    if insn.address_size == 2:
        insn.base, insn.index = _BASES_16[rm]
        if mod == 0 and rm == 6:
            insn.base = -1
            insn.displacement = text.signed(2)
        elif mod:
            insn.displacement = text.signed(mod)
    elif rm == 4:
        sib = text.byte()
        index = (sib >> 3 & 7) | (rex & 2) << 2
        if index != 4:
            insn.index, insn.scale = index, 1 << (sib >> 6)
        if sib & 7 == 5 and mod == 0:
            insn.displacement = text.signed(4)
        else:
            insn.base = (sib & 7) | (rex & 1) << 3
    elif rm == 5 and mod == 0:
        insn.displacement = text.signed(4)
        insn.rip_relative = long_mode
    else:
        insn.base = rm | (rex & 1) << 3
    if insn.address_size != 2 and mod:
        insn.displacement = text.signed(1 if mod == 1 else 4)
    if insn.base in STACK_REGISTERS:
        insn.segment = SegmentNumber.SS
