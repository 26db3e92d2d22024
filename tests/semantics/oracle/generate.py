"""Random cases of one instruction: registers, text and storage that make sense together."""

from functools import cache
from random import Random

from tests.semantics.oracle.encode import by_mnemonic, encode
from tests.semantics.oracle.layout import (
    LOW_WINDOW,
    LOW_WINDOW_END,
    PSW_24,
    PSW_31,
    PSW_64,
    RAM,
    SLOT,
    WINDOW,
    Case,
    driver,
    slot_of,
    window_of,
)
from tests.semantics.oracle.traits import (
    ADDRESS_REGISTERS,
    ALIGNED,
    BRANCHES,
    INTERRUPTIBLE,
    LENGTH_REGISTERS,
    NO_ACCESS,
    PAIRS,
    TABLE_IN_R1,
    TO_REGISTER_2,
    TO_STORAGE_ADDRESS,
)
from tests.semantics.oracle.values import Values
from worldswitch.metal.s390x.formats import FORMATS, Kind
from worldswitch.metal.s390x.insn import Insn

ALL_64 = 2**64 - 1
FPC_VALID = 0xF8F8_FF03
TRAP_OFFSET = 64
"""Where branches and the targets of EXECUTE stand in their slot; around branches there are zeros,
which are no instruction."""
TRIES = 40
EXECUTABLE = [
    "MVC", "XC", "NC", "OC", "CLC", "TR", "TRT", "UNPK", "PACK", "MVO", "AR", "LR", "SR", "N", "L",
    "ST", "STC", "IC", "MVI", "TM", "NI", "SRL", "SLL", "LM", "STM", "AHI", "LGHI", "AGR", "LGR",
    "LG", "STG", "AGHIK", "RISBG", "ICM", "STCM", "CLCLE", "MVCL",
]  # fmt: skip
MODES = [PSW_64] * 16 + [PSW_31] * 3 + [PSW_24] * 2
LIMITS = {PSW_64: ALL_64, PSW_31: 0x7FFF_FFFF, PSW_24: 0xFF_FFFF}


@cache
def parameters(item: Insn) -> frozenset[str]:
    """What the instruction's function takes."""
    return frozenset(item.function.parameters)


class ImpossibleError(Exception):
    """These register numbers cannot hold what the operands need."""


class Draft:
    """A case in the making. `fixed` are the registers whose values matter already."""

    def __init__(self, item: Insn, number: int, values: Values, mode: int) -> None:
        self.item, self.number, self.values, self.mode = item, number, values, mode
        self.rng = values.rng
        self.gprs = values.registers()
        self.fixed: set[int] = set()
        self.operands: dict[str, int] = {}
        self.window = window_of(number)
        self.executed = ""
        self.limit = LIMITS[mode]

    def set_gpr(self, register: int, value: int) -> None:
        """Give a register its value; raises ImpossibleError if it has another already."""
        if register in self.fixed and self.gprs[register] != value:
            raise ImpossibleError
        self.gprs[register] = value
        self.fixed.add(register)

    def address(self, value: int) -> int:
        """An address as a register may hold it: bits that the mode ignores are random."""
        return value | (self.rng.getrandbits(64) & ~self.limit & ALL_64)

    def place(self) -> int:
        """Where a storage operand goes: mostly into the case's window."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.95:
            align = ALIGNED.get(self.item.mnemonic, rng.choice((1, 1, 2, 4, 8)))
            if rng.random() < 0.05:
                align = 1
            low = 256 if self.item.mnemonic == "TRTR" else 0
            return self.window + low + rng.randrange(0, 340) // align * align
        if draw < 0.98:
            return RAM - rng.randrange(0, 300)
        return (RAM + rng.getrandbits(rng.choice((8, 16, 40, 64)))) & self.limit

    def may_touch(self, address: int) -> bool:
        """Whether an operand may start there: it must leave driver and tables alone."""
        inside = self.window <= address < self.window + WINDOW - 256
        return inside or LOW_WINDOW <= address < LOW_WINDOW_END - 256 or address >= RAM - 300

    def storage(self, base: str, displacement: str, index: str, wanted: int, access: bool) -> None:
        """Choose displacement and base so that the operand lies at `wanted` if that is possible."""
        rng, ops = self.rng, self.operands
        long = any(
            o.name == displacement and o.kind is Kind.LONG_DISPLACEMENT
            for o in FORMATS[self.item.format]
        )
        low, high = (-(1 << 19), (1 << 19) - 1) if long else (0, 0xFFF)
        b, x = ops[base], ops.get(index, 0)
        total = (self.gprs[x] if x else 0) + (self.gprs[b] if b else 0)
        free = [r for r in (b, x) if r and r not in self.fixed]
        if free and not (b == x and len(set(free)) == 1 and len(free) == 2):
            d = rng.choice((0, low, high, rng.randint(low, high), rng.randint(0, 15)))
            rest = total - self.gprs[free[0]]
            self.gprs[free[0]] = self.address((wanted - d - rest) & self.limit)
        elif not b and not x and access:
            d = rng.randrange(LOW_WINDOW, LOW_WINDOW_END - 256)
        else:
            d = (wanted - total) & self.limit
            if d > self.limit // 2:
                d -= self.limit + 1
        if not low <= d <= high:
            raise ImpossibleError
        ops[displacement] = d
        self.fixed |= {r for r in (b, x) if r}
        if access and not self.may_touch(self.effective(base, displacement, index)):
            raise ImpossibleError

    def effective(self, base: str, displacement: str, index: str = "") -> int:
        """Effective address of an operand."""
        ops = self.operands
        b, x = ops[base], ops.get(index, 0)
        total = (self.gprs[x] if x else 0) + (self.gprs[b] if b else 0) + ops[displacement]
        return total & self.limit


class Generator:
    """Cases from a seed; the same seed gives the same cases."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.values = Values(self.rng)

    def low_window(self) -> bytes:
        """Contents of the window that operands without a base lie in."""
        return self.values.storage((LOW_WINDOW_END - LOW_WINDOW) & ~7)

    def case(self, item: Insn, number: int) -> Case:
        """One case that stands at `number` of a batch."""
        while True:
            draft = Draft(item, number, self.values, self.rng.choice(MODES))
            try:
                slot, offset = self._text(draft)
            except ImpossibleError:
                continue
            return self._finish(draft, slot, offset)

    def _finish(self, draft: Draft, slot: bytes, offset: int) -> Case:
        rng, values = self.rng, self.values
        mask = draft.mode | rng.randrange(4) << 44
        if rng.random() < 0.3:
            mask |= rng.randrange(16) << 40
        size = (2, 4, 4, 6)[slot[offset] >> 6]
        return Case(
            draft.item.mnemonic,
            slot[offset : offset + size],
            offset,
            slot,
            tuple(draft.gprs),
            tuple(rng.getrandbits(32) for _ in range(16)),
            tuple(values.float_registers()),
            rng.getrandbits(32) & FPC_VALID if rng.random() < 0.4 else 0,
            mask,
            values.storage(WINDOW),
            draft.number,
            frozenset(draft.fixed),
            draft.executed,
        )

    def _text(self, draft: Draft) -> tuple[bytes, int]:
        """The slot's bytes and where the instruction stands in it."""
        item, start = draft.item, slot_of(draft.number)
        if item.mnemonic in ("EX", "EXRL"):
            return self._executed(draft), 0
        branch = item.mnemonic in BRANCHES
        offset = TRAP_OFFSET if branch else 0
        self._operands(draft, start + offset)
        text = encode(item, start + offset, draft.operands)
        if branch:
            return (bytes(offset) + text).ljust(SLOT, b"\0"), offset
        return text + self._way_out(item, start, start + len(text)), 0

    @staticmethod
    def _way_out(item: Insn, start: int, here: int) -> bytes:
        back = b""
        if item.mnemonic in INTERRUPTIBLE:
            back = encode(by_mnemonic()["BRC"], here, {"m1": 1, "target": start})
        here += len(back)
        jump = encode(by_mnemonic()["BRCL"], here, {"m1": 15, "target": driver().epilogue})
        return back + jump

    def _executed(self, draft: Draft) -> bytes:
        """EXECUTE of another instruction, part of whose second byte comes from a register."""
        rng, start = self.rng, slot_of(draft.number)
        item = draft.item
        draft.item = by_mnemonic()[rng.choice(EXECUTABLE)]
        self._operands(draft, start)
        target = bytearray(encode(draft.item, start + TRAP_OFFSET, draft.operands))
        named = set(draft.operands.values()) | {1, *(v + 1 for v in draft.operands.values())}
        draft.fixed |= {v for v in named if v < 16}
        loop = encode(by_mnemonic()["BRC"], 4, {"m1": 1, "target": 0})
        loop = loop if draft.item.mnemonic in INTERRUPTIBLE else b""
        draft.executed, draft.item = draft.item.mnemonic, item
        free = [r for r in range(1, 16) if r not in draft.fixed]
        if len(free) < 2:
            raise ImpossibleError
        modifier, base = free[0], free[1]
        draft.operands = {"r1": 0, "x2": 0, "b2": base, "target": start + TRAP_OFFSET}
        if rng.random() < 0.7:
            moved = rng.getrandbits(8)
            low = target[1] & moved
            draft.set_gpr(modifier, draft.gprs[modifier] & ~0xFF | low | target[1] & ~moved)
            target[1] = target[1] & moved
            draft.operands["r1"] = modifier
        if item.mnemonic == "EX":
            draft.storage("b2", "d2", "x2", start + TRAP_OFFSET, False)
        text = encode(item, start, draft.operands)
        if loop:
            loop = encode(by_mnemonic()["BRC"], len(text), {"m1": 1, "target": 0})
        head = text + loop + self._way_out(item, start, start + len(text) + len(loop))
        return head.ljust(TRAP_OFFSET, b"\0") + bytes(target)

    def _operands(self, draft: Draft, at: int) -> None:
        """Choose operand fields and the register values that they need."""
        rng, ops, name = self.rng, draft.operands, draft.item.mnemonic
        used = parameters(draft.item)
        for operand in FORMATS[draft.item.format]:
            if operand.kind is Kind.BASE:
                ops[operand.name] = rng.randrange(16) if rng.random() < 0.7 else 0
                if operand.name != "x2" and rng.random() < 0.9:
                    ops[operand.name] = rng.randrange(1, 16)
            elif operand.name in used or operand.name == "target":
                ops[operand.name] = rng.getrandbits(operand.width)
        for register in PAIRS.get(name, ()):
            if rng.random() < 0.97:
                ops[register] &= ~1
        self._designated(draft)
        if name in BRANCHES:
            self._branch(draft, at)
        elif "target" in ops:
            place = draft.place() & ~1
            ops["target"] = place if place < 1 << 31 else draft.window
            if rng.random() < 0.9:
                ops["target"] &= ~7
        if name in TO_STORAGE_ADDRESS or name in BRANCHES:
            return
        formats = {o.name for o in FORMATS[draft.item.format]}
        access = name not in NO_ACCESS
        for digit in "124":
            if f"d{digit}" in formats:
                index = "x2" if digit == "2" and "x2" in formats else ""
                wanted = draft.place() if access else rng.getrandbits(64) & draft.limit
                draft.storage(f"b{digit}", f"d{digit}", index, wanted, access)

    def _designated(self, draft: Draft) -> None:
        """Registers that hold addresses and lengths of operands, and what register 0 and 1 say."""
        rng, ops, name = self.rng, draft.operands, draft.item.mnemonic
        registers = ADDRESS_REGISTERS.get(name, ())
        if not registers:
            return
        if name == "CKSM" and ops["r1"] | 1 == ops["r2"] | 1:
            raise ImpossibleError  # the sum would become the length, again and again
        if name in TABLE_IN_R1:
            draft.set_gpr(1, draft.address((draft.window + rng.randrange(0, 64)) & ~7))
        size = 200
        for n, register in enumerate(registers):
            where = draft.window + 300 * n + rng.randrange(0, 90)
            if rng.random() < 0.02:
                where = RAM + rng.getrandbits(12)
            draft.set_gpr(ops[register], draft.address(where))
        for register in LENGTH_REGISTERS.get(name, ()):
            if rng.random() < 0.6:
                size = rng.choice((0, 1, 2, 3, 7, 8, 64, 200, rng.randrange(201)))
            odd = ops[register] | 1
            value = size
            if name in ("MVCL", "CLCL"):
                value |= rng.getrandbits(40) << 24
            elif draft.mode != PSW_64:
                value |= rng.getrandbits(32) << 32
            if odd not in registers:
                draft.set_gpr(odd, value)
        if name in ("SRST", "SRSTU", "MVST", "CLST", "TRE", "TROO", "TROT", "TRTO", "TRTT"):
            keep = 0xFFFF if name in ("SRSTU", "TROT", "TRTT") else 0xFF
            value = rng.choice((0, 1, 0x40, 0xFF, 0x61, rng.getrandbits(16))) & keep
            value |= rng.getrandbits(32) << 32
            if rng.random() < 0.03:
                value |= 1 << rng.randrange(8, 32)
            draft.set_gpr(0, value)

    def _branch(self, draft: Draft, at: int) -> None:
        """Let a branch end somewhere in the zeros around it."""
        rng, ops, name = self.rng, draft.operands, draft.item.mnemonic
        start = slot_of(draft.number)
        after = TRAP_OFFSET + len(encode(draft.item, at, {}))
        offset = rng.choice((rng.randrange(0, TRAP_OFFSET - 6), rng.randrange(after, SLOT - 8)))
        target = start + offset // 2 * 2
        if "target" in ops:
            ops["target"] = target
            return
        if rng.random() < 0.05:
            target += 1
        if name in TO_REGISTER_2:
            if name in ("BSM", "BASSM"):
                draft.set_gpr(ops["r2"], self._mode_target(draft, target))
            else:
                draft.set_gpr(ops["r2"], draft.address(target))
            return
        digit = "4" if "d4" in {o.name for o in FORMATS[draft.item.format]} else "2"
        index = "x2" if "x2" in ops else ""
        if not ops[f"b{digit}"] and not ops.get(index, 0):
            raise ImpossibleError
        draft.storage(f"b{digit}", f"d{digit}", index, target, False)
        if draft.effective(f"b{digit}", f"d{digit}", index) != target:
            raise ImpossibleError

    def _mode_target(self, draft: Draft, target: int) -> int:
        """An address that also says the addressing mode to go on in."""
        rng = self.rng
        mode = rng.randrange(3)
        if mode == 2:
            return target & ~1 | 1
        return target & ~1 | mode << 31 | rng.getrandbits(32) << 32
