"""Random cases of one instruction: registers, text and memory that make sense together."""

from random import Random

from tests.semantics.x86.oracle.driver import way_out
from tests.semantics.x86.oracle.layout import (
    GS_BASE,
    GUARD,
    READ_ONLY,
    SLOT,
    WINDOW,
    Case,
    slot_of,
    window_of,
)
from tests.semantics.x86.oracle.traits import (
    AREA_512,
    BIT_STRING,
    BRANCHES,
    DESTINATION,
    DIVISION,
    FRAME,
    LENGTHS,
    LOADS_MXCSR,
    POPS_FLAGS,
    RETURNS,
    SOURCE,
    STACK,
    STRING,
    TO_OPERAND,
    WAITS,
)
from tests.semantics.x86.oracle.values import Values
from worldswitch.metal.x86.insn import Insn

ALL = 2**64 - 1
RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI = range(8)
MANDATORY = {1: 0x66, 2: 0xF3, 3: 0xF2}
MIDDLE = 200
"""Where branches stand in their slot."""
MARGIN = 256
"""Bytes at a window's ends that operands start outside of."""
IGNORED_SEGMENTS = (0x26, 0x2E, 0x36, 0x3E)
GS_OVERRIDE, ADDRESS_SIZE, LOCK, TF = 0x65, 0x67, 0xF0, 0x100
VEX_MAP = 4
TRIES = 200


class ImpossibleError(Exception):
    """These random choices do not fit together."""


class Draft:
    """A case in the making. `fixed` are the registers whose values matter already."""

    def __init__(self, item: Insn, number: int, values: Values, narrow: bool) -> None:
        self.item, self.number, self.values, self.narrow = item, number, values, narrow
        self.encoding, self.rules = item.encoding, item.rules
        self.rng = values.rng
        self.gprs = values.registers()
        self.fixed: set[int] = set()
        self.patches: list[tuple[int, bytes]] = []
        """What memory has to hold: at an address, bytes."""
        self.window = window_of(number)
        self.offset = MIDDLE if self.is_branch() else 0
        self.start = slot_of(number) + self.offset
        self.prefixes: list[int] = []
        self.rex = 0
        self.modrm = b""
        self.relative = -1
        """Where in `modrm` a displacement relative to RIP is, or -1."""
        self.vvvv = 0
        self.operand = 0
        """Linear address of the memory operand, if `modrm` names one."""
        self.registers = 8 if narrow else 16
        if narrow:
            self.gprs = [v & 0xFFFF_FFFF if n < 8 else v for n, v in enumerate(self.gprs)]

    def is_branch(self) -> bool:
        """Whether the case ends somewhere else in its slot."""
        name = self.item.mnemonic
        return self.item.immediate == "j" or name in BRANCHES or name in RETURNS

    def set_gpr(self, register: int, value: int, mask: int = ALL) -> None:
        """Give a register its value; raises ImpossibleError if it has another already."""
        value = self.gprs[register] & ~mask | value & mask
        if register in self.fixed and self.gprs[register] != value:
            raise ImpossibleError
        self.gprs[register] = value & (0xFFFF_FFFF if self.narrow else ALL)
        self.fixed.add(register)

    def maybe(self, chance: float) -> bool:
        """Heads or tails."""
        return self.rng.random() < chance

    def register(self) -> int:
        """A random register number; the upper eight need a REX prefix."""
        return self.rng.randrange(16 if not self.narrow and self.maybe(0.5) else 8)

    def place(self, size: int) -> int:
        """Where a memory operand of `size` bytes goes: mostly into the case's window."""
        rng = self.rng
        if self.maybe(0.96):
            align = rng.choice((1, 1, 2, 4, 8, 16))
            if size >= 16 and self.maybe(0.9):
                align = 16
            if size > 64 and self.maybe(0.95):
                align = 64
            return self.window + MARGIN + rng.randrange(0, 440) // align * align
        kind = rng.randrange(6 if not self.narrow else 5)
        if kind == 0:
            return GUARD + rng.randrange(0x1000)
        if kind in (1, 2):
            return READ_ONLY + rng.randrange(0, 0xE00) // 16 * 16
        if kind == 3:
            return READ_ONLY + 0x1000 - rng.randrange(1, 17)
        if kind == 4:
            return READ_ONLY - rng.randrange(1, 17)
        return 1 << 63 | rng.getrandbits(40)

    # Memory operands.

    def memory(self, reg: int, wanted: int, asize: int) -> None:
        """ModRM, SIB and displacement for an operand at linear address `wanted`."""
        rng = self.rng
        base = 0
        if not self.narrow and self.maybe(0.04):
            self.prefixes.append(GS_OVERRIDE)
            base = GS_BASE
        elif self.maybe(0.04):
            self.prefixes.append(rng.choice(IGNORED_SEGMENTS))
        self.operand = wanted
        offset = wanted - base
        if asize == 16:
            self._memory_16(reg)
            return
        limit = 2**asize - 1
        if offset > limit:
            raise ImpossibleError
        kind = rng.choice(("base", "base", "base", "both", "both", "index", "absolute", "rip"))
        low = reg & 7
        if kind == "rip":
            if self.narrow:
                self.modrm = bytes([low << 3 | 5]) + self._disp32(offset)
                return
            self.relative = 1
            self.modrm = bytes([low << 3 | 5]) + offset.to_bytes(8, "little")
        elif kind == "absolute":
            index = 4
            self.modrm = bytes([low << 3 | 4, rng.randrange(4) << 6 | index << 3 | 5])
            self.modrm += self._disp32(offset)
        elif kind == "index":
            index, scale = self._index(), rng.randrange(4)
            value = self.gprs[index]
            if index not in self.fixed:
                value = rng.randrange(0x1000) if self.maybe(0.5) else -rng.randrange(0x1000)
                self.set_gpr(index, value & limit | self._junk(asize))
            rest = offset - (self.gprs[index] << scale)
            self.modrm = bytes([low << 3 | 4, scale << 6 | (index & 7) << 3 | 5])
            self.modrm += self._disp32(self._signed(rest, asize))
        else:
            self._with_base(low, kind, offset, asize)

    def _with_base(self, low: int, kind: str, offset: int, asize: int) -> None:
        rng = self.rng
        base = self.rng.randrange(self.registers)
        limit = 2**asize - 1
        size = rng.choice((0, 1, 1, 4))
        if size == 0 and base & 7 == 5:
            size = 1
        disp = {0: 0, 1: rng.randrange(-128, 128), 4: rng.randrange(-(1 << 20), 1 << 20)}[size]
        sib = b""
        total = offset - disp
        if kind == "both" or base & 7 == 4:
            scale, index = rng.randrange(4), 4
            if kind == "both":
                index = self._index()
                if index == base:
                    raise ImpossibleError
                if index not in self.fixed and self.maybe(0.7):
                    self.set_gpr(index, rng.randrange(-64, 64) & limit | self._junk(asize))
                total -= self.gprs[index] << scale
                self.fixed.add(index)
                self.rex |= index >> 2 & 2
            sib = bytes([scale << 6 | (index & 7) << 3 | base & 7])
        if base in self.fixed:
            size, disp = 4, self._signed(total + disp - self.gprs[base], asize)
        else:
            self.set_gpr(base, total & limit | self._junk(asize))
        self.rex |= base >> 3 & 1
        mod = {0: 0, 1: 1, 4: 2}[size]
        self.modrm = bytes([mod << 6 | low << 3 | (4 if sib else base & 7)]) + sib
        self.modrm += self._disp32(disp) if size == 4 else (disp & 0xFF).to_bytes(size, "little")

    def _memory_16(self, reg: int) -> None:
        """16-bit addressing, which reaches nothing: the fault tells the address."""
        rng = self.rng
        mod = rng.randrange(3)
        rm = rng.randrange(8)
        size = 2 if mod == 0 and rm == 6 else mod
        self.modrm = bytes([mod << 6 | (reg & 7) << 3 | rm]) + rng.randbytes(size)
        self.operand = 0
        self.fixed |= {RBX, RBP, RSI, RDI}

    def _index(self) -> int:
        while (index := self.rng.randrange(self.registers)) == 4:
            pass
        self.rex |= index >> 2 & 2
        return index

    def _junk(self, asize: int) -> int:
        """What a register may hold above a 32-bit address."""
        return self.rng.getrandbits(32) << 32 if asize == 32 and not self.narrow else 0

    @staticmethod
    def _signed(value: int, asize: int) -> int:
        """A displacement that adds `value` modulo the address size."""
        value &= 2**asize - 1
        return value - 2**asize if value >> (asize - 1) else value

    def _disp32(self, value: int) -> bytes:
        if not -(1 << 31) <= value < 1 << 31 and not (self.narrow and 0 <= value < 1 << 32):
            raise ImpossibleError
        return (value & 0xFFFF_FFFF).to_bytes(4, "little")

    # Text.

    def text(self) -> bytes:
        """The whole instruction."""
        immediate = self.immediate()
        head = self._head()
        modrm = self.modrm
        if self.relative >= 0:
            target = int.from_bytes(modrm[1:], "little")
            length = len(head) + 5 + len(immediate)
            modrm = modrm[:1] + self._disp32(self._signed(target - self.start - length, 64))
        if self.item.immediate == "j":
            immediate = self._branch(len(head) + len(modrm) + len(immediate), len(immediate))
        return head + modrm + immediate

    def _head(self) -> bytes:
        encoding, opcode = self.encoding, self.encoding.opcode
        if encoding.plus_r:
            number = self.register()
            opcode += number & 7
            self.rex |= number >> 3
        if encoding.map >= VEX_MAP:
            return bytes(self.prefixes) + self._vex() + bytes([opcode])
        prefixes = list(self.prefixes)
        if encoding.prefix:
            prefixes.append(MANDATORY[encoding.prefix])
        self.rng.shuffle(prefixes)
        data = bytes(prefixes)
        if self.rex or (not self.narrow and self.maybe(0.2)):
            if self.narrow:
                raise ImpossibleError
            data += bytes([0x40 | self.rex])
        return data + (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")[encoding.map] + bytes([opcode])

    def _vex(self) -> bytes:
        encoding, rex = self.encoding, self.rex
        last = (~self.vvvv & 15) << 3 | (encoding.length or 0) << 2 | (encoding.prefix or 0)
        if not rex & 11 and encoding.map == VEX_MAP and self.maybe(0.5):
            return bytes([0xC5, (~rex & 4) << 5 | last])
        first = (~rex & 4) << 5 | (~rex & 2) << 5 | (~rex & 1) << 5 | encoding.map - VEX_MAP + 1
        return bytes([0xC4, first, (rex & 8) << 4 | last])

    def immediate(self) -> bytes:
        """The immediate's bytes; those of a branch are filled in later."""
        item, rng = self.item, self.rng
        kind, bits = item.immediate, item.immediate_bits
        if kind == "":
            return b""
        if kind == "o":
            address = self.place(item.memory_bytes)
            size = 4 if self.narrow or ADDRESS_SIZE in self.prefixes else 8
            if self.narrow and ADDRESS_SIZE in self.prefixes:
                raise ImpossibleError
            if address >> 8 * size:
                raise ImpossibleError
            return address.to_bytes(size, "little")
        if kind == "ii":
            first, second = bits & 0xFF, bits >> 8
            value = rng.choice((0, 8, 16, 40, rng.getrandbits(7)))
            level = rng.choice((0, 1, 2, 5, 32, rng.getrandbits(5)))
            return value.to_bytes(first // 8, "little") + level.to_bytes(second // 8, "little")
        if kind == "p":
            raise ImpossibleError
        value = rng.choice(self.values.pool) if self.maybe(0.5) else rng.getrandbits(bits)
        return (value & (1 << bits) - 1).to_bytes(bits // 8, "little")

    def target(self, length: int) -> int:
        """An address among the HLTs of the slot, before or behind the instruction."""
        rng = self.rng
        first, last = self.offset - 100, self.offset + 100
        near = rng.choice(
            (rng.randrange(first, self.offset), rng.randrange(self.offset + length, last))
        )
        return slot_of(self.number) + near

    def _branch(self, length: int, size: int) -> bytes:
        distance = self.target(length) - self.start - length
        return (distance & (1 << 8 * size) - 1).to_bytes(size, "little")


class Generator:
    """Cases from a seed; the same seed gives the same cases."""

    def __init__(self, seed: int, narrow: bool = False) -> None:
        self.rng = Random(seed)
        self.values = Values(self.rng)
        self.narrow = narrow

    def case(self, item: Insn, number: int) -> Case:
        """One case that stands at `number` of a batch."""
        for _ in range(TRIES):
            draft = Draft(item, number, self.values, self.narrow)
            try:
                self._implicit(draft)
                self._operands(draft)
                text = draft.text()
                if len(text) > 15:
                    continue
                return self._finish(draft, text)
            except ImpossibleError:
                continue
        raise ValueError(f"no case of {item.symbol}")

    def possible(self, item: Insn) -> bool:
        """Whether there are cases of an instruction."""
        try:
            return bool(self.case(item, 0))
        except ValueError:
            return False

    def _finish(self, draft: Draft, text: bytes) -> Case:
        flags = self.values.flags()
        slot = b"\xf4" * draft.offset + text if draft.is_branch() else text + way_out(self.narrow)
        window = bytearray(self.values.memory(WINDOW))
        for address, data in draft.patches:
            at = address - draft.window
            if not 0 <= at <= WINDOW - len(data):
                raise ImpossibleError
            window[at : at + len(data)] = data
        return Case(
            draft.item.mnemonic, draft.item.symbol, text, draft.offset,
            slot.ljust(SLOT, b"\xf4"), tuple(draft.gprs), flags, self.values.floating(),
            bytes(window), draft.number, frozenset(draft.fixed), self.narrow,
            "x87" if draft.item.mnemonic in WAITS else draft.rules.unit, bool(draft.patches),
        )  # fmt: skip

    def _implicit(self, draft: Draft) -> None:
        """Registers that an instruction uses without naming them, and its prefixes."""
        name, rng = draft.item.mnemonic, self.rng
        name = "".join(name.split()[:1])
        plain = name.rstrip("BWDQ") if name[:4] in STRING else name
        if name in STACK:
            align = 8 if draft.maybe(0.9) else 1
            draft.set_gpr(RSP, draft.window + 512 + rng.randrange(0, 64) // align * align)
        if name in FRAME:
            draft.set_gpr(RBP, draft.window + 512 + rng.randrange(0, 64) // 8 * 8)
        if plain in SOURCE:
            draft.set_gpr(RSI, draft.place(8))
        if plain in DESTINATION:
            draft.set_gpr(RDI, draft.place(8))
        if plain in STRING:
            draft.set_gpr(RCX, rng.choice((0, 1, 2, 3, 7, 8, rng.randrange(20))))
        if name in ("XLAT", "XLATB"):
            draft.set_gpr(RBX, draft.place(256))
        if name in DIVISION and draft.maybe(0.8):
            self._dividend(draft)
        if name in LENGTHS:
            for register in (RAX, RDX):
                value = rng.choice((rng.randrange(-20, 21), rng.getrandbits(64) | 1))
                draft.set_gpr(register, value & (0xFFFF_FFFF if self.narrow else ALL))
        if name in RETURNS:
            target = draft.target(3)
            data = target.to_bytes(4 if self.narrow else 8, "little")
            draft.patches.append((draft.gprs[RSP], data))
        if name in POPS_FLAGS:
            flags = rng.getrandbits(32) & ~TF
            draft.patches.append((draft.gprs[RSP], flags.to_bytes(4, "little") + bytes(4)))

    def _dividend(self, draft: Draft) -> None:
        """A high half that lets the quotient fit, mostly."""
        rng, bits = self.rng, 8 if draft.item.byte_rm else draft.item.size or 32
        high = rng.choice((0, 0, rng.getrandbits(3), rng.getrandbits(max(1, bits // 2)), ALL))
        if bits == 8:
            draft.set_gpr(RAX, (high & 0xFF) << 8, 0xFF00)
        else:
            draft.set_gpr(RDX, high, (1 << bits) - 1)
            if high == ALL and draft.maybe(0.7):
                draft.set_gpr(RAX, draft.gprs[RAX] | 1 << (bits - 1))

    def _operands(self, draft: Draft) -> None:
        """Prefixes, ModRM and what it needs."""
        item, encoding, rules, rng = draft.item, draft.encoding, draft.rules, self.rng
        if rules.long is not None and rules.long == self.narrow:
            raise ImpossibleError
        self._operand_size(draft)
        asize = 32 if self.narrow else 64
        if rules.asize is not None:
            if rules.asize > asize or (rules.asize == 16 and not self.narrow):
                raise ImpossibleError
            if rules.asize != asize:
                draft.prefixes.append(ADDRESS_SIZE)
                asize = rules.asize
        elif (encoding.modrm or item.immediate == "o") and draft.maybe(0.06):
            draft.prefixes.append(ADDRESS_SIZE)
            asize //= 2
        if any(o.letter in "BH" for o in encoding.operands) and encoding.map >= VEX_MAP:
            draft.vvvv = rng.randrange(draft.registers)
        if not encoding.modrm:
            return
        reg = encoding.reg if encoding.reg is not None else draft.register()
        draft.rex |= reg >> 1 & 4
        mod = item.mod or encoding.mod or ("mem" if draft.maybe(0.5) else "reg")
        if mod == "reg":
            rm = encoding.rm if encoding.rm is not None else draft.register()
            draft.rex |= rm >> 3
            draft.modrm = bytes([0xC0 | (reg & 7) << 3 | rm & 7])
            if draft.is_branch() and item.mnemonic in TO_OPERAND:
                draft.set_gpr(rm, draft.target(4))
            return
        if item.mnemonic in BIT_STRING and any(o.letter == "G" for o in encoding.operands):
            draft.set_gpr(reg, rng.randrange(-1500, 1500), (1 << (item.size or 32)) - 1)
        wanted = draft.place(512 if item.mnemonic in AREA_512 else item.memory_bytes)
        draft.memory(reg, wanted, asize)
        if draft.maybe(0.15 if rules.lock else 0.01):
            draft.prefixes.append(LOCK)
        if item.mnemonic in LOADS_MXCSR and asize > 16 and draft.maybe(0.7):
            where = wanted + LOADS_MXCSR[item.mnemonic]
            if draft.window <= where < draft.window + WINDOW - 4:
                draft.patches.append((where, self.values.mxcsr().to_bytes(4, "little")))
        if draft.is_branch() and item.mnemonic in TO_OPERAND:
            inside = draft.window <= wanted < draft.window + WINDOW
            if not inside or asize == 16:
                raise ImpossibleError
            draft.patches.append((wanted, draft.target(8).to_bytes(8, "little")))

    def _operand_size(self, draft: Draft) -> None:
        """The prefixes that make the operand size what the variant wants."""
        item, rules = draft.item, draft.rules
        size = item.size
        vex = draft.encoding.map >= VEX_MAP
        if size == 64:
            if self.narrow:
                raise ImpossibleError
            if not (rules.d64 or rules.f64) or draft.maybe(0.2):
                draft.rex |= 8
        elif size == 32:
            if not self.narrow and (rules.d64 or rules.f64):
                raise ImpossibleError
        elif size == 16:
            if (not self.narrow and (rules.f64 or draft.is_branch())) or vex:
                # Branches with 16-bit operands in 64-bit mode: each vendor has its own.
                raise ImpossibleError
            draft.prefixes.append(0x66)
        elif not self.narrow and not vex and draft.maybe(0.05):
            draft.rex |= 8
