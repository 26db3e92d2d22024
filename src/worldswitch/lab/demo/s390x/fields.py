"""One exit from SIE: the fields of the state description that say more about it."""

from worldswitch.arch.fields import Names, meaning
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.metal.interface import EntryResult

_INSTRUCTION = ("ipa", "ipb")
FIELDS: dict[Icpt, tuple[str, ...]] = {
    Icpt.INST: _INSTRUCTION,
    Icpt.PROGI: ("iprcc", "pgmilc"),
    Icpt.INSTPROGI: ("ipa", "iprcc", "perc", "peraddr"),
    Icpt.EXTREQ: ("cpuflags",),
    Icpt.EXTINT: ("eic",),
    Icpt.IOREQ: ("cpuflags",),
    Icpt.WAIT: ("gpsw_mask",),
    Icpt.VALIDITY: ("ipb",),
    Icpt.STOP: ("cpuflags",),
    Icpt.OPEREXC: ("ipa",),
    Icpt.PARTEXEC: _INSTRUCTION,
    Icpt.IOINST: _INSTRUCTION,
    Icpt.KSS: (),
    Icpt.PV_INSTR: _INSTRUCTION,
    Icpt.INT_ENABLE: ("lctl", "gcr6"),
    Icpt.MCHKREQ: ("ictl", "gpsw_mask"),
    Icpt.PV_NOTIFY: _INSTRUCTION,
    Icpt.PV_PREF: (),
}
"""The fields of the state description that say more about an interception."""
NAMES: dict[str, Names] = {"iprcc": ProgramCode}
"""Names of values whose field has none, as several things may be or-ed into it."""


def field_text(block: StateDescription, name: str) -> str:
    """`name value MEANING` of one field."""
    value = getattr(block, name)
    field = block.fields.get(name) or block.inner_fields[name]
    text = meaning(NAMES.get(name, field.names), value, field.size * 8)
    return f"{name} {value:0{field.size * 2}X} {text}".rstrip()


def field_texts(block: StateDescription, result: EntryResult) -> tuple[str, ...]:
    """What the state description says, the guest PSW's address last."""
    names = FIELDS[Icpt(block.icptcode)] if result is EntryResult.EXIT else ()
    texts = [field_text(block, name) for name in names]
    return (*texts, f"gpsw at {block.gpsw_addr:X}")
