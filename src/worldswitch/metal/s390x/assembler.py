"""An assembler for guest programs, from the same declarations that decoding is made of.

    assemble(source, origin) -> Program

The syntax is the usual one: `label: mnemonic operands # comment`, registers as %r1, %a1, %c1 or
%f1, addresses as displacement(index,base), lengths as displacement(length,base). Directives:
.org, .align, .byte, .short, .long, .quad, .ascii, .space, .equ, and .insn for a raw instruction
text in hexadecimal. Expressions have numbers, labels, `.` for the current address, and + - * ( ).
Extended mnemonics: j, jg, br, b and the conditional jumps (je, jne, jh, jl, jhe, jle, jz, jnz,
jo, jno, jm, jp, jnm, jnp, and with jg in place of j).
"""

import re
from dataclasses import dataclass, field

from worldswitch.metal.s390x import insns
from worldswitch.metal.s390x.formats import FORMATS, SECOND_OPCODE, Kind, Operand
from worldswitch.metal.s390x.insn import TABLE, Insn


class AssemblyError(Exception):
    """A line that cannot be assembled; says which and why."""

    def __init__(self, line: int, text: str, why: str) -> None:
        super().__init__(f"line {line}: {why}: {text.strip()}")
        self.line = line


@dataclass
class Program:
    """What `assemble` makes: `text` goes to address `origin`."""

    origin: int
    text: bytes
    labels: dict[str, int] = field(default_factory=dict[str, int])


# The order in which an instruction's operands are written, by format. A name is an operand of the
# format; (d, x, b) is an address written d(x,b), or d(b) where there is no index or length.
_ADDRESS1 = ("d1", "", "b1")
_ADDRESS2 = ("d2", "", "b2")
_INDEXED = ("d2", "x2", "b2")
_FOURTH = ("d4", "", "b4")
_Syntax = tuple[str | tuple[str, str, str], ...]
SYNTAX: dict[str, _Syntax] = {
    "E": (),
    "I": ("i1",),
    "RR": ("r1", "r2"),
    "RR_m": ("m1", "r2"),
    "RI_a": ("r1", "i2"),
    "RI_b": ("r1", "target"),
    "RI_c": ("m1", "target"),
    "RIE_a": ("r1", "i2", "m3"),
    "RIE_b": ("r1", "r2", "m3", "target"),
    "RIE_c": ("r1", "i2", "m3", "target"),
    "RIE_d": ("r1", "r3", "i2"),
    "RIE_e": ("r1", "r3", "target"),
    "RIE_f": ("r1", "r2", "i3", "i4", "i5"),
    "RIE_g": ("r1", "i2", "m3"),
    "RIL_a": ("r1", "i2"),
    "RIL_b": ("r1", "target"),
    "RIL_c": ("m1", "target"),
    "RIS": ("r1", "i2", "m3", _FOURTH),
    "RRE": ("r1", "r2"),
    "RRD": ("r1", "r3", "r2"),
    "RRF": ("r1", "r2", "r3", "m4"),
    "RRS": ("r1", "r2", "m3", _FOURTH),
    "RS_a": ("r1", "r3", _ADDRESS2),
    "RS_b": ("r1", "m3", _ADDRESS2),
    "RSI": ("r1", "r3", "target"),
    "RSL": (("d1", "l1", "b1"),),
    "RSY_a": ("r1", "r3", _ADDRESS2),
    "RSY_b": ("r1", "m3", _ADDRESS2),
    "RX_a": ("r1", _INDEXED),
    "RX_b": ("m1", _INDEXED),
    "RXE": ("r1", _INDEXED, "m3"),
    "RXF": ("r1", "r3", _INDEXED),
    "RXY_a": ("r1", _INDEXED),
    "RXY_b": ("m1", _INDEXED),
    "S": (_ADDRESS2,),
    "SI": (_ADDRESS1, "i2"),
    "SIL": (_ADDRESS1, "i2"),
    "SIY": (_ADDRESS1, "i2"),
    "SS_a": (("d1", "l1", "b1"), _ADDRESS2),
    "SS_b": (("d1", "l1", "b1"), ("d2", "l2", "b2")),
    "SS_c": (("d1", "l1", "b1"), _ADDRESS2, "i3"),
    "SS_d": (("d1", "r1", "b1"), _ADDRESS2, "r3"),
    "SS_e": ("r1", _ADDRESS2, "r3", _FOURTH),
    "SS_f": (_ADDRESS1, ("d2", "l2", "b2")),
    "SSE": (_ADDRESS1, _ADDRESS2),
    "SSF": (_ADDRESS1, _ADDRESS2, "r3"),
}
_CONDITIONS = {
    "": 15, "o": 1, "h": 2, "p": 2, "nle": 3, "l": 4, "m": 4, "nhe": 5, "lh": 6, "ne": 7,
    "nz": 7, "e": 8, "z": 8, "nlh": 9, "he": 10, "nl": 11, "nm": 11, "le": 12, "nh": 13,
    "np": 13, "no": 14,
}  # fmt: skip
_DATA = {".byte": 1, ".short": 2, ".long": 4, ".quad": 8}
_REGISTER = re.compile(r"%[racfv](\d+)$")
_ADDRESS = re.compile(r"^(.*?)\(([^()]*)\)$")
_LABEL = re.compile(r"^\s*([A-Za-z_][\w]*):")
_TOKEN = re.compile(r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|\.|[-+*()])")
assert insns.__name__, "imported for the table that it fills"


def _instructions() -> dict[str, Insn]:
    return {item.mnemonic.lower(): item for item in TABLE.values()}


class _Assembler:
    def __init__(self, origin: int) -> None:
        self.table = _instructions()
        self.origin = origin
        self.labels: dict[str, int] = {}
        self.text = bytearray()
        self.final = False

    @property
    def here(self) -> int:
        return self.origin + len(self.text)

    def value(self, text: str) -> int:
        """Evaluate an expression; unknown labels are the current address in the first pass."""
        tokens: list[str] = []
        at = 0
        text = text.strip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"cannot read {text[at:]!r}")
            tokens.append(match.group(1))
            at = match.end()
        result = self._sum(tokens)
        if tokens:
            raise ValueError(f"cannot read {tokens[0]!r}")
        return result

    def _sum(self, tokens: list[str]) -> int:
        result = self._product(tokens)
        while tokens and tokens[0] in "+-":
            sign = 1 if tokens.pop(0) == "+" else -1
            result += sign * self._product(tokens)
        return result

    def _product(self, tokens: list[str]) -> int:
        result = self._atom(tokens)
        while tokens and tokens[0] == "*":
            tokens.pop(0)
            result *= self._atom(tokens)
        return result

    def _atom(self, tokens: list[str]) -> int:
        if not tokens:
            raise ValueError("an expression is missing")
        token = tokens.pop(0)
        if token == "-":
            return -self._atom(tokens)
        if token == "(":
            result = self._sum(tokens)
            if not tokens or tokens.pop(0) != ")":
                raise ValueError("a ) is missing")
            return result
        if token == ".":
            return self.here
        if token[0].isdigit():
            return int(token, 0)
        if token in self.labels:
            return self.labels[token]
        if self.final:
            raise ValueError(f"no label {token}")
        return self.here

    def number(self, text: str) -> int:
        """A register's number or an expression's value."""
        match = _REGISTER.match(text.strip())
        return int(match.group(1)) if match else self.value(text)

    def line(self, text: str) -> None:
        """Assemble one line."""
        text = _strip_comment(text)
        while match := _LABEL.match(text):
            name = match.group(1)
            if not self.final and name in self.labels:
                raise ValueError(f"label {name} twice")
            self.labels[name] = self.here
            text = text[match.end() :]
        words = text.split(None, 1)
        if not words:
            return
        name, rest = words[0].lower(), words[1] if len(words) > 1 else ""
        if name.startswith("."):
            self.directive(name, rest)
        else:
            self.instruction(name, _split(rest))

    def directive(self, name: str, rest: str) -> None:
        if name in _DATA:
            for part in _split(rest):
                size = _DATA[name]
                value = self.value(part) & ((1 << 8 * size) - 1)
                self.text += value.to_bytes(size, "big")
        elif name == ".org":
            target = self.value(rest) - self.origin
            if target < len(self.text):
                raise ValueError(".org goes backwards")
            self.text += bytes(target - len(self.text))
        elif name == ".align":
            self.text += bytes(-self.here % self.value(rest))
        elif name == ".space":
            self.text += bytes(self.value(rest))
        elif name == ".ascii":
            self.text += rest.strip().strip('"').encode().decode("unicode_escape").encode("latin-1")
        elif name == ".equ":
            label, value = _split(rest)
            self.labels[label] = self.value(value)
        elif name == ".insn":
            self.text += bytes.fromhex(rest)
        else:
            raise ValueError(f"no directive {name}")

    def instruction(self, name: str, operands: list[str]) -> None:
        if name not in self.table:
            name, operands = _extended(name, operands)
        item = self.table.get(name)
        if item is None:
            raise ValueError(f"no instruction {name}")
        fields = {o.name: o for o in FORMATS[item.format]}
        values = self._values(item, operands)
        size = (2, 4, 4, 6)[int(item.opcode[:2], 16) >> 6]
        word = int(item.opcode[:2], 16) << (8 * size - 8)
        position, width = SECOND_OPCODE[item.format]
        if width:
            word |= int(item.opcode[2:], 16) << (8 * size - position - width)
        for operand, value in values.items():
            word |= self._encode(fields[operand], value) << (8 * size - _end(fields[operand]))
        self.text += word.to_bytes(size, "big")

    def _values(self, item: Insn, operands: list[str]) -> dict[str, int]:
        syntax = list(SYNTAX[item.format])
        if item.format in ("RS_a", "RSY_a") and len(operands) == 2:
            syntax.remove("r3")
        if item.format == "SSF" and operands and operands[0].startswith("%"):
            syntax = [syntax[2], *syntax[:2]]
        if len(operands) > len(syntax):
            raise ValueError(f"{len(syntax)} operands at most")
        values: dict[str, int] = {}
        for form, text in zip(syntax, operands, strict=False):
            if isinstance(form, str):
                values[form] = self.number(text)
            else:
                self._address(form, text, values)
        return values

    def _address(self, form: tuple[str, str, str], text: str, values: dict[str, int]) -> None:
        displacement, index, base = form
        match = _ADDRESS.match(text.strip())
        if match is None:
            values[displacement] = self.value(text)
            return
        if match.group(1).strip():
            values[displacement] = self.value(match.group(1))
        inside = [part.strip() for part in match.group(2).split(",")]
        if len(inside) == 2:
            if not index:
                raise ValueError("this operand has no index or length")
            if inside[0]:
                value = self.number(inside[0])
                values[index] = value - 1 if index.startswith("l") else value
            values[base] = self.number(inside[1])
        elif index.startswith("l"):
            values[index] = self.number(inside[0]) - 1
        else:
            values[base] = self.number(inside[0])

    def _encode(self, operand: Operand, value: int) -> int:
        width = operand.width
        if operand.kind is Kind.RELATIVE:
            value = (value - self.here) // 2
        if operand.kind is Kind.LONG_DISPLACEMENT:
            if not -(1 << 19) <= value < 1 << 19:
                raise ValueError(f"displacement {value} does not fit")
            value &= 0xFFFFF
            return (value & 0xFFF) << 8 | value >> 12
        low = -(1 << (width - 1))
        if self.final and not low <= value < 1 << width:
            raise ValueError(f"{operand.name} = {value} does not fit in {width} bits")
        return value & ((1 << width) - 1)


def _end(operand: Operand) -> int:
    long = operand.kind is Kind.LONG_DISPLACEMENT
    return operand.position + (20 if long else operand.width)


def _extended(name: str, operands: list[str]) -> tuple[str, list[str]]:
    """br, j, jg and their conditional forms in terms of bcr, brc and brcl."""
    for prefix, real in (("jg", "brcl"), ("j", "brc")):
        if name.startswith(prefix) and name[len(prefix) :] in _CONDITIONS:
            return real, [str(_CONDITIONS[name[len(prefix) :]]), *operands]
    if name.startswith("b") and name.endswith("r") and name[1:-1] in _CONDITIONS:
        return "bcr", [str(_CONDITIONS[name[1:-1]]), *operands]
    if name.startswith("b") and name[1:] in _CONDITIONS:
        return "bc", [str(_CONDITIONS[name[1:]]), *operands]
    return name, operands


def _strip_comment(text: str) -> str:
    quoted = False
    for n, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == "#" and not quoted:
            return text[:n]
    return text


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no parentheses."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    if current.strip():
        parts.append(current.strip())
    return parts


def assemble(source: str, origin: int = 0) -> Program:
    """Assemble a program; raises AssemblyError with the line at fault."""
    worker = _Assembler(origin)
    for final in (False, True):
        worker.final = final
        worker.text = bytearray()
        for number, text in enumerate(source.splitlines(), 1):
            try:
                worker.line(text)
            except (ValueError, KeyError) as error:
                raise AssemblyError(number, text, str(error)) from None
    return Program(origin, bytes(worker.text), worker.labels)
