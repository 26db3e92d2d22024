"""Encodings as the manuals write them, taken apart: `66 0F 38 F1 /r Ev,Gv`.

    [NP|66|F3|F2]   mandatory prefix; NP: none of them. Without one, prefixes do not matter
    [0F [38|3A]]    opcode map; `VEX.[NP|66|F3|F2].0F[38|3A]` for VEX-coded ones, L0 or L1 after it
    XX              opcode byte; `XX+r` for eight opcodes that have a register in their low bits
    /r /0../7       a ModRM byte follows; a digit is part of the opcode
    /m /R           after it: only with a memory operand, only with a register operand
    YY              a second byte after the opcode: the whole ModRM byte is part of the opcode
    operands        Eb Ev Ew Ed Eq Ey: ModRM.rm; M: memory; G: ModRM.reg; Z: the `+r` register;
                    I: immediate; J: branch offset; O: offset; S: segment register; V, U, W: an
                    XMM register in ModRM.reg, in ModRM.rm, the latter or memory; P, N, Q: the same
                    of MMX registers; B: VEX.vvvv as a general register; AL eAX CL DX 1: themselves.
                    Sizes: b w d q x are 8 to 128 bits, t is 80; v is 16, 32 or 64 by operand
                    size, z the same with an immediate of at most 32 bits, y 32 or 64; Ic: a byte
                    that stays one

ref: APM3 1 Instruction Encoding; APM3 A.1 Opcode-Syntax Notation
"""

import re
from dataclasses import dataclass

MAPS = {"": 0, "0F": 1, "0F38": 2, "0F3A": 3, "VEX0F": 4, "VEX0F38": 5, "VEX0F3A": 6}
PREFIXES = {"NP": 0, "66": 1, "F3": 2, "F2": 3}
FIXED = {"AL", "AX", "eAX", "CL", "DX", "1"}


@dataclass(frozen=True)
class Operand:
    """One operand: its letter and its size."""

    letter: str
    size: str

    @classmethod
    def of(cls, text: str) -> "Operand":
        """Take `Ev` apart; fixed operands have no letter of their own."""
        if text in FIXED:
            return cls(text, "")
        return cls(text[0], text[1:])


@dataclass(frozen=True)
class Encoding:
    """One opcode of an instruction, with everything that selects it."""

    text: str
    map: int
    opcode: int
    prefix: int | None = None
    modrm: bool = False
    reg: int | None = None
    mod: str | None = None
    """"reg", "mem", or None for both."""
    rm: int | None = None
    plus_r: bool = False
    length: int | None = None
    """VEX.L, 0 or 1."""
    operands: tuple[Operand, ...] = ()


_TOKEN = re.compile(r"^[0-9A-F]{2}(\+r)?$")


def parse(text: str) -> Encoding:
    """An encoding from its text; raises ValueError with the text for nonsense."""
    tokens = text.split()
    prefix: int | None = None
    name = ""
    length: int | None = None
    if tokens[0].startswith("VEX."):
        parts = tokens.pop(0).split(".")[1:]
        for part in parts:
            if part in PREFIXES:
                prefix = PREFIXES[part]
            elif part in ("L0", "L1"):
                length = int(part[1])
            else:
                name = "VEX" + part
    else:
        if tokens[0] in PREFIXES and len(tokens) > 1 and _TOKEN.match(tokens[1]):
            prefix = PREFIXES[tokens.pop(0)]
        if tokens[0] == "0F":
            name = tokens.pop(0)
            if tokens[0] in ("38", "3A") and len(tokens) > 1 and _TOKEN.match(tokens[1]):
                name += tokens.pop(0)
    if name not in MAPS or not _TOKEN.match(tokens[0]):
        raise ValueError(f"not an encoding: {text!r}")
    opcode = tokens.pop(0)
    modrm, reg, mod, rm = False, None, None, None
    operands: tuple[Operand, ...] = ()
    for token in tokens:
        if token == "/r":
            modrm = True
        elif re.fullmatch(r"/[0-7]", token):
            modrm, reg = True, int(token[1])
        elif token in ("/m", "/R"):
            mod = "mem" if token == "/m" else "reg"
        elif _TOKEN.match(token):
            whole = int(token, 16)
            modrm, mod, reg, rm = True, "reg", whole >> 3 & 7, whole & 7
        elif re.fullmatch(r"[A-Za-z0-9]+(,[A-Za-z0-9]+)*", token):
            operands = tuple(Operand.of(one) for one in token.split(","))
        else:
            raise ValueError(f"{text!r}: what is {token!r}?")
    return Encoding(
        text, MAPS[name], int(opcode[:2], 16), prefix, modrm, reg, mod, rm,
        opcode.endswith("+r"), length, operands,
    )  # fmt: skip
