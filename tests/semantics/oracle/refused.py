"""What the emulator does not have, and what ends or corrupts it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.semantics.oracle.layout import PSW_64, Case


def some(text: str) -> frozenset[str]:
    """Mnemonics from a list."""
    return frozenset(text.split())


ABSENT = some(
    "AGH SGH DIEBR DIDBR LZRF LZRG LLZRGF CPYA LMD BSM BASSM AP SP ZAP CP MP DP SRP ED EDMK "
    "CVBG AER AE SER SE AUR AU SUR SU ADR AD SDR SD AWR AW SWR SW AXR SXR MEER MEE MDER MDE "
    "MDR MD MXDR MXD MXR DER DE DDR DD DXR CER CE CDR CD CXR MAER MAE MADR MAD MSER MSE MSDR "
    "MSD HER HDR SQER SQE SQDR SQD SQXR LPER LPDR LPXR LNER LNDR LNXR LTER LTDR LTXR LCER "
    "LCDR LCXR LXDR LXD LXER LXE LEDR LDXR LEXR FIER CEFR CFER CEGR CGER FIDR CDFR CFDR CDGR "
    "CGDR FIXR CXFR CFXR CXGR CGXR TBEDR THDER TBDR THDR EREG EREGG ESTA MSTA BSG SSAR SSAIR "
    "PTI TAR TRTE TRTRE PLO MGH MSRKC MSC MSGRKC MSGC MGRK MG CUSE CFC UPT CVB CVBY CVDG BIC"
)
"""Instructions that the emulator does not have: the plain engine is their only witness."""


@dataclass(frozen=True)
class Crash:
    """Instructions that end the emulator's process; they are not given to it."""

    mnemonics: frozenset[str]
    when: Callable[[Case], bool]
    reason: str


def no_length(case: Case) -> bool:
    """The first operand of TRANSLATE ONE TO ONE or a relative of it has no bytes."""
    length = case.gprs[case.text[3] >> 4 | 1]
    return (length if case.mask & PSW_64 == PSW_64 else length & 0xFFFF_FFFF) == 0


CRASHES = [
    Crash(
        frozenset({"TROO", "TROT", "TRTO", "TRTT"}),
        no_length,
        "it takes no bytes as 2**64, and overwrites storage to its end",
    ),
    Crash(
        frozenset({"RNSBG", "ROSBG", "RXSBG"}),
        lambda case: case.text[2] & 0x80 != 0,
        "the test-results control (T) ends its translator",
    ),
    Crash(
        frozenset({"CKSM"}),
        lambda case: case.mask & PSW_64 != PSW_64,
        "in the 24-bit and 31-bit modes it takes 64 bits of the length",
    ),
    Crash(frozenset({"SFASR"}), lambda case: True, "it gives up on some operands"),
    Crash(frozenset({"SQXBR"}), lambda case: True, "its square root of 128 bits does not end"),
]


def crashes(case: Case) -> bool:
    """Whether the emulator is known to crash on a case."""
    return any(case.mnemonic in row.mnemonics and row.when(case) for row in CRASHES)
