"""The instructions that can be compared, by subject."""

from collections import defaultdict
from functools import cache

import worldswitch.metal.x86.insns
from tests.semantics.x86.oracle.generate import Generator
from tests.semantics.x86.oracle.traits import ABSENT, DIVISION, SEGMENT_LOADS, STACK, STRING, WAITS
from worldswitch.arch.x86.models import MODELS
from worldswitch.metal.x86.features import MODELLED
from worldswitch.metal.x86.insn import TABLE, Insn

assert worldswitch.metal.x86.insns.__name__, "imported for the table that it fills"
MAPS = ("one byte", "0F", "0F38", "0F3A", "VEX.0F", "VEX.0F38", "VEX.0F3A")
PREFIXES = {None: "", 0: " NP", 1: " 66", 2: " F3", 3: " F2"}
SUBJECTS = {
    "shift": {"ROL", "ROR", "RCL", "RCR", "SHL", "SAL", "SHR", "SAR", "SHLD", "SHRD"},
    "multiply and divide": DIVISION | {"MUL", "IMUL"},
    "bit": {"BT", "BTS", "BTR", "BTC", "BSF", "BSR", "TZCNT", "LZCNT", "POPCNT"},
    "decimal": {"AAA", "AAS", "AAM", "AAD", "DAA", "DAS"},
    "exchange": {"XCHG", "XADD", "CMPXCHG", "CMPXCHG8B", "CMPXCHG16B"},
    "string": STRING,
    "stack": STACK,
}


def subject(item: Insn) -> str:
    """The group that an instruction belongs to."""
    name, encoding, rules = item.mnemonic, item.encoding, item.rules
    if rules.unit in ("x87", "mmx") or name in WAITS:
        return rules.unit or "x87"
    if rules.unit:
        return f"{rules.unit} {MAPS[encoding.map]}{PREFIXES[encoding.prefix]}"
    if rules.cpl0:
        return "privileged"
    if item.immediate == "j":
        return "branch"
    if name[:4] in STRING:
        return "string"
    for group, names in SUBJECTS.items():
        if name in names:
            return group
    if encoding.map == 0:
        return "one byte, arithmetic" if encoding.opcode < 0x40 else "one byte"
    if name.startswith(("SET", "CMOV")):
        return "conditional"
    return MAPS[encoding.map]


def absent(item: Insn) -> bool:
    """Whether an instruction cannot be compared: see ABSENT, and far transfers."""
    encoding = item.encoding
    far = item.mnemonic in ("CALL", "JMP") and encoding.opcode == 0xFF and encoding.reg in (3, 5)
    loads = (encoding.map << 8 | encoding.opcode) in SEGMENT_LOADS
    return item.mnemonic in ABSENT or far or item.immediate == "p" or loads


@cache
def groups(narrow: bool = False) -> dict[str, list[Insn]]:
    """Instructions by subject. narrow: those that 32-bit code has."""
    model = MODELS["epyc-milan"].limited_to(MODELLED)
    found: dict[str, list[Insn]] = defaultdict(list)
    generator = Generator(0, narrow)
    for item in TABLE:
        if item.rules.feature is not None and item.rules.feature not in model.features:
            continue
        if absent(item) or not generator.possible(item):
            continue
        found[subject(item)].append(item)
    return dict(sorted(found.items()))
