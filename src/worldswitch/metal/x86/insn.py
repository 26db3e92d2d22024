"""`@insn`: an instruction's encodings, rules and behaviour, in one place.

    @insn("ADD", "00 /r Eb,Gb", "01 /r Ev,Gv", "83 /0 Ev,Ib", ref="APM3 3 ADD", lock=True)
    def add(w: Width):
        flags = flags_add[w.bits]

        def add(cpu: Cpu, a: w.u, b: w.u) -> w.u:
            flags(cpu, a, b, a + b)
            return a + b

        return add

The decorated template gives, for the widths of the operands (as many of them as it has parameters),
a function of the typed subset on values. From it and the operand functions a handler is made for
each encoding, operand size, and kind of operand (register or memory):

    as many parameters as operands      all are read; a result is written to the first
    one less                            the first operand is written only
    it returns None                     nothing is written
    it returns bool                     a relative branch: taken to `rec.imm` if True
    it returns tuple[bool, u64]         a branch to a computed RIP: (taken, RIP); `rec` comes first

`raw=True`: the template gives the handler itself, a function of (cpu, rec), which reads its
operands by operands.py; its arguments are the width and "reg" or "mem", as many as it takes. A
handler that returns u64 gives the address of the next record. ref: APM3 1.1
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from worldswitch.engine import Typed, typed
from worldswitch.metal.x86.encoding import Encoding, Operand, parse
from worldswitch.metal.x86.flags import WIDTHS, Width, X
from worldswitch.metal.x86.memory import MODIFY, PEEK, POKE, modified
from worldswitch.metal.x86.operands import (
    IMMEDIATE,
    ONE,
    READ_A,
    READ_C,
    READ_D,
    READ_MEM,
    READ_REG,
    READ_RM,
    READ_V,
    WRITE_A,
    WRITE_MEM,
    WRITE_REG,
    WRITE_RM,
    WRITE_V,
    effective,
)
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.vector_operands import VECTOR_LETTERS, pending_first, reader, writer

SIZES = {"b": 8, "w": 16, "d": 32, "q": 64, "x": 128, "c": 8, "t": 80}
TEMPLATE_WIDTHS: dict[int, Width] = {**WIDTHS, 128: X}


@dataclass(frozen=True)
class Insn:
    """One variant of an instruction: one handler."""

    mnemonic: str
    symbol: str
    encoding: Encoding
    ref: str
    function: Typed[Any, Any]
    mod: str | None
    """"reg", "mem" or None: no difference."""
    size: int | None
    """Operand size in bits that selects it, None: any."""
    rules: "Rules"
    memory_bytes: int = 0
    immediate: str = ""
    """Size letter of the immediate: "" none, b w d q v z, bb (two), wb (ENTER), p (far pointer),
    o (memory offset), j b/z for branch offsets as "jb" and "jz"."""
    immediate_bits: int = 0
    byte_reg: bool = False
    byte_rm: bool = False
    index: int = field(default=-1, compare=False)


@dataclass(frozen=True)
class Rules:
    """When an instruction exists, and what is asked before it executes."""

    cpl0: bool = False
    """#GP(0) unless the privilege level is 0."""
    lock: bool = False
    """LOCK is allowed, with a memory destination."""
    control: bool = False
    """Mode or pending work may have changed: `cpu.rip` is already the next instruction's."""
    ends: bool = False
    """The next sequential instruction is never reached from here."""
    long: bool | None = None
    """True: in 64-bit mode only. False: not there."""
    d64: bool = False
    """In 64-bit mode the operand size is 64 bits unless a prefix makes it 16."""
    f64: bool = False
    """In 64-bit mode the operand size is always 64 bits."""
    feature: str | None = None
    """Feature (arch.x86.cpuid) without which the encoding is #UD."""
    unit: str = ""
    """"x87", "mmx", "sse" or "avx": which control bits make it #UD or #NM."""
    intercept: int | None = None
    """Intercept of SVM, `32 * vector + bit`; looked at before the instruction executes."""
    protected: bool = False
    """#UD in real and virtual-8086 mode."""
    writes: bool = False
    """A raw instruction that writes its memory operand."""
    address: bool = True
    """False: the memory operand is an address only (LEA), or handled by the instruction."""
    sized: bool = False
    """The operand size makes a difference although no operand says so; a template's width is it,
    and immediates are extended to it."""
    asize: int | None = None
    """Address size in bits that selects it."""
    anywhere: bool = False
    """A memory operand of 16 bytes need not be aligned."""
    split: bool = False
    """W and Q: a handler for registers and one for memory, for speed; otherwise one for both."""


TABLE: list[Insn] = []
"""All variants, in the order of definition."""
_symbols: set[str] = set()


def _sizes(encoding: Encoding, rules: Rules) -> list[int | None]:
    """Operand sizes that make a difference to an encoding."""
    letters = {o.size for o in encoding.operands}
    wide = [] if rules.long is False else [64]
    if rules.sized or letters & {"v", "z"}:
        return [16, 32, *wide]
    if "y" in letters:
        return [32, *wide]
    return [None]


def _bits(operand: Operand, size: int | None) -> int:
    """Width of an operand."""
    if operand.letter in ("AL", "CL"):
        return 8
    if operand.letter in ("AX", "DX"):
        return 16
    if operand.letter == "eAX":
        return size or 32
    if operand.letter == "1":
        return 8
    if operand.size in SIZES:
        return SIZES[operand.size]
    if operand.size in ("v", "y", "z"):
        return size or 32
    return 0


def _is_vector(encoding: Encoding) -> bool:
    """Whether an encoding has operands of SSE or MMX; its immediate is 8 bits then."""
    return any(o.letter in VECTOR_LETTERS for o in encoding.operands)


def _reader(
    operand: Operand, mod: str | None, bits: int, width: int, rules: Rules
) -> Typed[Any, Any]:
    """The operand function that reads an operand; an immediate is as wide as the first operand."""
    letter = operand.letter
    if letter in VECTOR_LETTERS or bits == 128:
        return reader(letter, bits, mod, rules.anywhere)
    if letter in ("E", "M", "R"):
        return (READ_MEM if mod == "mem" else READ_RM)[bits]
    if letter == "O":
        return READ_MEM[bits]
    if letter == "Z":
        return READ_RM[bits]
    if letter == "G":
        return READ_REG[bits]
    if letter == "B":
        return READ_V[bits]
    if letter == "I":
        return IMMEDIATE[8 if operand.size == "c" else width]
    if letter == "1":
        return ONE[8]
    return {"AL": READ_A, "AX": READ_A, "eAX": READ_A, "CL": READ_C, "DX": READ_D}[letter][bits]


def _writer(operand: Operand, mod: str | None, bits: int, rules: Rules) -> Typed[Any, Any]:
    letter = operand.letter
    if letter in VECTOR_LETTERS or bits == 128:
        return writer(letter, bits, mod, rules.anywhere)
    if letter in ("E", "M", "R"):
        return (WRITE_MEM if mod == "mem" else WRITE_RM)[bits]
    if letter == "O":
        return WRITE_MEM[bits]
    if letter == "Z":
        return WRITE_RM[bits]
    if letter == "G":
        return WRITE_REG[bits]
    if letter == "B":
        return WRITE_V[bits]
    return WRITE_A[bits]


def _compose(name: str, op: Typed[Any, Any], reads: list[Any], write: Any, modify: int) -> Any:
    """The handler: read the operands, apply `op`, write its result."""
    leaves = op.leaves or any(r.leaves for r in reads) or bool(write and write.leaves)
    returns = op.returns
    a, b, c = [*reads, None, None, None][:3]
    count = len(reads)
    if modify:
        load, peek, poke = MODIFY[modify], PEEK[modify], POKE[modify]
        if count == 0:

            @typed(leaves=True, inline=True, name=name)
            def handler(cpu: Cpu, rec: Record) -> None:
                host = load(cpu, rec.seg, effective(cpu, rec))
                poke(host, op(cpu, peek(host)))
                modified(cpu, host)
        elif count == 1:

            @typed(leaves=True, inline=True, name=name)
            def handler(cpu: Cpu, rec: Record) -> None:
                host = load(cpu, rec.seg, effective(cpu, rec))
                poke(host, op(cpu, peek(host), a(cpu, rec)))
                modified(cpu, host)
        else:

            @typed(leaves=True, inline=True, name=name)
            def handler(cpu: Cpu, rec: Record) -> None:
                host = load(cpu, rec.seg, effective(cpu, rec))
                poke(host, op(cpu, peek(host), a(cpu, rec), b(cpu, rec)))
                modified(cpu, host)
    elif returns is bool:

        @typed(leaves=leaves, inline=True, name=name)
        def handler(cpu: Cpu, rec: Record) -> bool:
            return op(cpu)
    elif write is None and returns is not None:
        if count == 0:

            @typed(leaves=leaves, inline=True, name=name)
            def handler(cpu: Cpu, rec: Record) -> returns:
                taken, target = op(cpu, rec)
                return taken, target
        else:

            @typed(leaves=leaves, inline=True, name=name)
            def handler(cpu: Cpu, rec: Record) -> returns:
                taken, target = op(cpu, rec, a(cpu, rec))
                return taken, target
    elif write is None:
        if count == 0:

            @typed(leaves=leaves, inline=True, name=name)
            def handler(cpu: Cpu, rec: Record) -> None:
                op(cpu)
        elif count == 1:

            @typed(leaves=leaves, inline=True, name=name)
            def handler(cpu: Cpu, rec: Record) -> None:
                op(cpu, a(cpu, rec))
        elif count == 2:

            @typed(leaves=leaves, inline=True, name=name)
            def handler(cpu: Cpu, rec: Record) -> None:
                op(cpu, a(cpu, rec), b(cpu, rec))
        else:

            @typed(leaves=leaves, inline=True, name=name)
            def handler(cpu: Cpu, rec: Record) -> None:
                op(cpu, a(cpu, rec), b(cpu, rec), c(cpu, rec))
    elif count == 0:

        @typed(leaves=leaves, inline=True, name=name)
        def handler(cpu: Cpu, rec: Record) -> None:
            write(cpu, rec, op(cpu))
    elif count == 1:

        @typed(leaves=leaves, inline=True, name=name)
        def handler(cpu: Cpu, rec: Record) -> None:
            write(cpu, rec, op(cpu, a(cpu, rec)))
    elif count == 2:

        @typed(leaves=leaves, inline=True, name=name)
        def handler(cpu: Cpu, rec: Record) -> None:
            write(cpu, rec, op(cpu, a(cpu, rec), b(cpu, rec)))
    else:

        @typed(leaves=leaves, inline=True, name=name)
        def handler(cpu: Cpu, rec: Record) -> None:
            write(cpu, rec, op(cpu, a(cpu, rec), b(cpu, rec), c(cpu, rec)))

    return handler


def _immediate(encoding: Encoding, size: int | None) -> tuple[str, int]:
    """Kind of the immediate and the bits it takes in the text."""
    kind, bits = "", 0
    for operand in encoding.operands:
        if operand.letter == "I":
            here = _bits(operand, size)
            if operand.size == "z":
                here = min(here, 32)
            kind = kind + "i" if kind else "i"
            bits = bits | here << 8 if bits else here
        elif operand.letter == "J":
            kind, bits = "j", 8 if operand.size == "b" else (16 if size == 16 else 32)
        elif operand.letter == "O":
            kind = "o"
        elif operand.letter == "A":
            kind, bits = "p", 16 if size == 16 else 32
    return kind, bits


def _mods(encoding: Encoding, rules: Rules) -> list[str | None]:
    """Whether the ModRM operand's kind makes a difference, and which kinds there are."""
    letters = {o.letter for o in encoding.operands}
    if encoding.mod is not None:
        return [encoding.mod]
    if "M" in letters:
        return ["mem"]
    if letters & {"R", "N", "U"}:
        return ["reg"]
    if "E" in letters or (letters & {"W", "Q"} and rules.split):
        return ["reg", "mem"]
    return [None]


def _unique(symbol: str) -> str:
    if symbol in _symbols:
        raise ValueError(f"two instructions are called {symbol}")
    _symbols.add(symbol)
    return symbol


_made: dict[tuple[Any, ...], Any] = {}
"""What was made of the same parts before: encodings that differ in nothing else share a handler."""


def _call(template: Callable[..., Any], *args: Any, **options: Any) -> Typed[Any, Any]:
    """The function that a template gives for the arguments that it takes, typed."""
    key = (template, *args[: template.__code__.co_argcount])
    if key not in _made:
        fn = template(*key[1:])
        _made[key] = fn if isinstance(fn, Typed) else typed(fn, inline=True, **options)
    return _made[key]


def insn(
    mnemonic: str, *encodings: str, ref: str, raw: bool = False, **rules: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter an instruction's variants into the table; see the module's text and `Rules`."""
    all_rules = Rules(**rules)

    def enter(template: Callable[..., Any]) -> Callable[..., Any]:
        for text in encodings:
            encoding = parse(text)
            for item in _variants(mnemonic, encoding, ref, template, raw, all_rules):
                TABLE.append(item)
        return template

    return enter


def _variants(
    mnemonic: str, encoding: Encoding, ref: str, template: Any, raw: bool, rules: Rules
) -> Iterator[Insn]:  # fmt: skip
    for size in _sizes(encoding, rules):
        for mod in _mods(encoding, rules):
            widths = [_bits(o, size) for o in encoding.operands]
            parts = [encoding.text.replace(" ", "_")]
            parts += [str(size)] if size else []
            parts += [mod] if mod and not encoding.mod else []
            parts += ["long" if rules.long else "legacy"] if rules.long is not None else []
            parts += [f"a{rules.asize}"] if rules.asize else []
            symbol = _unique(f"{mnemonic}:{':'.join(parts)}")
            first = size or 0 if rules.sized else widths[0] if widths else 0
            if raw:
                width = TEMPLATE_WIDTHS.get(first)
                function = _call(template, width, mod, leaves=True, name=symbol)
                writes = rules.writes
            else:
                function, writes = _value_handler(
                    symbol, encoding, template, mod, widths, first, rules
                )
            kind, bits = _immediate(encoding, size)
            memory = 0
            operands = list(zip(encoding.operands, widths, strict=True))
            for operand, width in operands:
                if operand.letter in ("E", "M", "O", "W", "Q"):
                    memory = width // 8
            yield Insn(
                mnemonic, symbol, encoding, ref, function, mod, size,
                rules if writes == rules.writes else Rules(**{**rules.__dict__, "writes": writes}),
                memory, kind, bits,
                any(o.letter == "G" and w == 8 for o, w in operands),
                any(o.letter in "EZR" and w == 8 for o, w in operands),
                index=len(TABLE),
            )  # fmt: skip


def _value_handler(
    symbol: str, encoding: Encoding, template: Any, mod: str | None, widths: list[int],
    first: int, rules: Rules,
) -> tuple[Typed[Any, Any], bool]:  # fmt: skip
    """The handler of a function on values, and whether it writes a memory operand."""
    operands = [o for o in encoding.operands if o.letter != "J"]
    op = _call(template, *(TEMPLATE_WIDTHS.get(w) for w in [first, *widths[1:]]))
    names = list(op.parameters)[1:]
    reads = len(names) - (1 if names[:1] == ["rec"] else 0)
    written = op.returns not in (None, bool) and not _is_tuple(op.returns)
    width = 8 if _is_vector(encoding) else first or 64
    readers = [
        _reader(o, mod, w, width, rules)
        for o, w in list(zip(operands, widths, strict=False))[len(operands) - reads :]
    ]
    mmx = rules.unit == "mmx" or any(o.letter == "P" for o in operands)
    if mmx and not any(o.letter in "NQ" for o in operands[-reads:]):
        readers[0] = pending_first(readers[0])
    write = _writer(operands[0], mod, first, rules) if written else None
    in_memory = written and operands[0].letter in ("E", "M", "O", "W", "Q") and (
        mod == "mem" or operands[0].letter == "O"
    )  # fmt: skip
    modify = first if in_memory and reads == len(operands) else 0
    if modify:
        readers = readers[1:]
    key = (op, *readers, write, modify)
    if key not in _made:
        _made[key] = _compose(symbol, op, readers, write, modify)
    return _made[key], in_memory


def _is_tuple(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is tuple
