"""Instruction formats: where each operand lies in the text and where the record keeps it.

ref: PoP chapter 5, "Instruction Formats".
"""

from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """How a field of the text becomes a field of the record."""

    UNSIGNED = 0
    SIGNED = 1
    RELATIVE = 2
    """Signed halfwords relative to the instruction: an absolute address results."""
    BASE = 3
    """Register number where 0 means none (stored as 16)."""
    LONG_DISPLACEMENT = 4
    """DL (12 bits) at the position, DH (8 bits, high-order, signed) right after it."""


@dataclass(frozen=True)
class Operand:
    """`name` is the parameter of the instruction's function; `field` the record's member."""

    name: str
    field: str
    position: int
    width: int
    kind: Kind = Kind.UNSIGNED


def _r1(position: int = 8) -> Operand:
    return Operand("r1", "r1", position, 4)


def _r2(position: int = 12) -> Operand:
    return Operand("r2", "r2", position, 4)


def _r3(position: int = 12) -> Operand:
    return Operand("r3", "r3", position, 4)


def _m(name: str, field: str, position: int) -> Operand:
    return Operand(name, field, position, 4)


def _address1(position: int = 16) -> tuple[Operand, Operand]:
    return (
        Operand("b1", "b1", position, 4, Kind.BASE),
        Operand("d1", "imm", position + 4, 12),
    )


def _address2(position: int = 16, long: bool = False) -> tuple[Operand, Operand]:
    kind = Kind.LONG_DISPLACEMENT if long else Kind.UNSIGNED
    return (
        Operand("b2", "b2", position, 4, Kind.BASE),
        Operand("d2", "imm2", position + 4, 12, kind),
    )


_X2 = Operand("x2", "x2", 12, 4, Kind.BASE)


def _i2(position: int, width: int, signed: bool = True) -> Operand:
    return Operand("i2", "imm2", position, width, Kind.SIGNED if signed else Kind.UNSIGNED)


def _target(position: int, width: int) -> Operand:
    return Operand("target", "imm2", position, width, Kind.RELATIVE)


FORMATS: dict[str, tuple[Operand, ...]] = {
    "E": (),
    "I": (Operand("i1", "imm", 8, 8),),
    "RR": (_r1(), _r2()),
    "RR_m": (_m("m1", "r1", 8), _r2()),
    "RI_a": (_r1(), _i2(16, 16)),
    "RI_b": (_r1(), _target(16, 16)),
    "RI_c": (_m("m1", "r1", 8), _target(16, 16)),
    "RIE_a": (_r1(), _i2(16, 16), _m("m3", "r3", 32)),
    "RIE_b": (_r1(), _r2(), _target(16, 16), _m("m3", "r3", 32)),
    "RIE_c": (
        _r1(),
        _m("m3", "r3", 12),
        _target(16, 16),
        Operand("i2", "imm", 32, 8, Kind.SIGNED),
    ),
    "RIE_d": (_r1(), _r3(), _i2(16, 16)),
    "RIE_e": (_r1(), _r3(), _target(16, 16)),
    "RIE_f": (
        _r1(),
        _r2(),
        Operand("i3", "r3", 16, 8),
        Operand("i4", "m4", 24, 8),
        Operand("i5", "imm", 32, 8),
    ),
    "RIE_g": (_r1(), _m("m3", "r3", 12), _i2(16, 16)),
    "RIL_a": (_r1(), _i2(16, 32)),
    "RIL_b": (_r1(), _target(16, 32)),
    "RIL_c": (_m("m1", "r1", 8), _target(16, 32)),
    "RIS": (
        _r1(),
        _m("m3", "r3", 12),
        Operand("b4", "b2", 16, 4, Kind.BASE),
        Operand("d4", "imm2", 20, 12),
        Operand("i2", "imm", 32, 8, Kind.SIGNED),
    ),
    "RRE": (_r1(24), _r2(28)),
    "RRD": (_r1(16), _r3(24), _r2(28)),
    "RRF": (
        _r1(24),
        _r2(28),
        Operand("r3", "r3", 16, 4),
        Operand("m3", "r3", 16, 4),
        _m("m4", "m4", 20),
    ),
    "RRS": (
        _r1(),
        _r2(),
        Operand("b4", "b2", 16, 4, Kind.BASE),
        Operand("d4", "imm2", 20, 12),
        _m("m3", "r3", 32),
    ),
    "RS_a": (_r1(), _r3(), *_address2()),
    "RS_b": (_r1(), _m("m3", "r3", 12), *_address2()),
    "RSI": (_r1(), _r3(), _target(16, 16)),
    "RSL": (Operand("l1", "r1", 8, 4), *_address1()),
    "RSY_a": (_r1(), _r3(), *_address2(long=True)),
    "RSY_b": (_r1(), _m("m3", "r3", 12), *_address2(long=True)),
    "RX_a": (_r1(), _X2, *_address2()),
    "RX_b": (_m("m1", "r1", 8), _X2, *_address2()),
    "RXE": (_r1(), _X2, *_address2(), _m("m3", "r3", 32)),
    "RXF": (Operand("r3", "r3", 8, 4), _X2, *_address2(), Operand("r1", "r1", 32, 4)),
    "RXY_a": (_r1(), _X2, *_address2(long=True)),
    "RXY_b": (_m("m1", "r1", 8), _X2, *_address2(long=True)),
    "S": _address2(),
    "SI": (_i2(8, 8, signed=False), *_address1()),
    "SIL": (*_address1(), _i2(32, 16)),
    "SIY": (
        _i2(8, 8, signed=False),
        Operand("b1", "b1", 16, 4, Kind.BASE),
        Operand("d1", "imm", 20, 12, Kind.LONG_DISPLACEMENT),
    ),
    "SS_a": (Operand("l1", "r1", 8, 8), *_address1(), *_address2(32)),
    "SS_b": (
        Operand("l1", "r1", 8, 4),
        Operand("l2", "r2", 12, 4),
        *_address1(),
        *_address2(32),
    ),
    "SS_c": (
        Operand("l1", "r1", 8, 4),
        Operand("i3", "r3", 12, 4),
        *_address1(),
        *_address2(32),
    ),
    "SS_d": (_r1(), _r3(), *_address1(), *_address2(32)),
    "SS_e": (
        _r1(),
        _r3(),
        *_address2(),
        Operand("b4", "b1", 32, 4, Kind.BASE),
        Operand("d4", "imm", 36, 12),
    ),
    "SS_f": (Operand("l2", "r2", 8, 8), *_address1(), *_address2(32)),
    "SSE": (*_address1(), *_address2(32)),
    "SSF": (Operand("r3", "r3", 8, 4), *_address1(), *_address2(32)),
}
"""Formats by name; "RR_m" is RR with a mask in place of R1, "RRF" covers its variants a to e."""

SECOND_OPCODE: dict[str, tuple[int, int]] = {
    **{f: (8, 0) for f in ("RR", "RR_m", "RS_a", "RS_b", "RSI", "RX_a", "RX_b", "SI", "I")},
    **{f: (8, 0) for f in ("SS_a", "SS_b", "SS_c", "SS_d", "SS_e", "SS_f")},
    **{f: (12, 4) for f in ("RI_a", "RI_b", "RI_c", "RIL_a", "RIL_b", "RIL_c", "SSF")},
    **{f: (8, 8) for f in ("E", "RRE", "RRD", "RRF", "S", "SIL", "SSE")},
    **{f: (40, 8) for f in ("RIE_a", "RIE_b", "RIE_c", "RIE_d", "RIE_e", "RIE_f", "RIE_g")},
    **{f: (40, 8) for f in ("RIS", "RRS", "RSL", "RSY_a", "RSY_b", "RXE", "RXF")},
    **{f: (40, 8) for f in ("RXY_a", "RXY_b", "SIY")},
}
"""Position and width in bits of the opcode's second part; width 0 where there is none."""
