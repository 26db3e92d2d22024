"""The control blocks that a state description designates."""

from enum import IntFlag

from worldswitch.arch.control_block import (
    Blocks,
    ControlBlock,
    at,
    bits,
    control_block,
    manual,
    u8,
    u16,
    u32,
    u64,
    u64s,
)

BASIC_CPUS = 64
EXTENDED_CPUS = 248


@control_block(size=32, byteorder="big", ref="SIE basic SCA")
class BasicScaEntry(ControlBlock):
    """A guest CPU in a basic system-control area."""

    sigp_control: u8 = at(0x01, ref="SIE SIGP control")
    sda: u64 = at(0x08, ref="SIE SCA entry", doc="state description of the CPU")
    call_pending: u8 = bits("sigp_control", 0, ref="SIE SIGP control", doc="external call pending")
    reserved_bit: u8 = bits("sigp_control", 1, ref="SIE SIGP control")
    source_cpu: u8 = bits("sigp_control", 2, 7, ref="SIE SIGP control", doc="calling CPU")


@control_block(size=64, byteorder="big", ref="SIE extended SCA")
class ExtendedScaEntry(ControlBlock):
    """A guest CPU in an extended system-control area."""

    sigp_control: u16 = at(0x00, ref="SIE SIGP control")
    sda: u64 = at(0x08, ref="SIE SCA entry", doc="state description of the CPU")
    call_pending: u16 = bits("sigp_control", 0, ref="SIE SIGP control", doc="external call pending")
    source_cpu: u16 = bits("sigp_control", 8, 15, ref="SIE SIGP control", doc="calling CPU")


@control_block(size=0x40 + BASIC_CPUS * 32, byteorder="big", ref="SIE basic SCA")
class BasicSca(ControlBlock):
    """The basic system-control area: what the CPUs of a guest share; up to 64 CPUs."""

    ipte_control: u64 = at(0x00, ref="SIE IPTE control")
    mcn: u64 = at(0x30, ref="SIE basic SCA", doc="which CPU entries are valid")
    utility: u32 = at(0x38, ref="SIE SCA utility")
    cpu: Blocks[BasicScaEntry] = at(0x40, count=BASIC_CPUS, ref="SIE SCA entry")
    ipte_lock: u64 = bits("ipte_control", 0, ref="SIE IPTE control", doc="k: lock held")
    ipte_hosts: u64 = bits("ipte_control", 1, 31, ref="SIE IPTE control", doc="kh: host holders")
    ipte_guests: u64 = bits("ipte_control", 32, 63, ref="SIE IPTE control", doc="kg: guest holders")
    topology_change: u32 = bits("utility", 0, ref="SIE SCA utility", doc="MTCR")


@control_block(size=0x100 + EXTENDED_CPUS * 64, byteorder="big", ref="SIE extended SCA")
class ExtendedSca(ControlBlock):
    """The extended system-control area: up to 248 CPUs."""

    ipte_control: u64 = at(0x00, ref="SIE IPTE control")
    utility: u32 = at(0x38, ref="SIE SCA utility")
    mcn: u64s = at(0x40, count=4, ref="SIE extended SCA", doc="which CPU entries are valid")
    cpu: Blocks[ExtendedScaEntry] = at(0x100, count=EXTENDED_CPUS, ref="SIE SCA entry")
    ipte_lock: u64 = bits("ipte_control", 0, ref="SIE IPTE control", doc="k: lock held")
    ipte_hosts: u64 = bits("ipte_control", 1, 31, ref="SIE IPTE control", doc="kh: host holders")
    ipte_guests: u64 = bits("ipte_control", 32, 63, ref="SIE IPTE control", doc="kg: guest holders")
    topology_change: u32 = bits("utility", 0, ref="SIE SCA utility", doc="MTCR")


@manual(ref="PoP 5 Transaction Diagnostic Block")
class TdbFlags(IntFlag):
    """Flags of a transaction diagnostic block."""

    CONFLICT_TOKEN_VALID = 0x80
    CONSTRAINED = 0x40


@control_block(size=0x100, byteorder="big", ref="PoP 5 Transaction Diagnostic Block")
class TransactionDiagnosticBlock(ControlBlock):
    """A TDB; the one that ``itdba`` designates is the interception TDB (ITDB)."""

    format: u8 = at(0x00, ref="PoP 5 Transaction Diagnostic Block", doc="1 if valid")
    flags: u8 = at(0x01, ref="PoP 5 Transaction Diagnostic Block", names=TdbFlags)
    nesting_depth: u16 = at(0x06, ref="PoP 5 Transaction Diagnostic Block")
    abort_code: u64 = at(0x08, ref="PoP 5 Transaction Diagnostic Block")
    conflict_token: u64 = at(0x10, ref="PoP 5 Transaction Diagnostic Block")
    aborted_address: u64 = at(0x18, ref="PoP 5 Transaction Diagnostic Block", doc="ATIA")
    exc_access_id: u8 = at(0x20, ref="PoP 5 Transaction Diagnostic Block")
    data_exc_code: u8 = at(0x21, ref="PoP 5 Transaction Diagnostic Block")
    program_id: u32 = at(0x24, ref="PoP 5 Transaction Diagnostic Block", doc="length and code")
    teid: u64 = at(0x28, ref="PoP 5 Transaction Diagnostic Block")
    breaking_event: u64 = at(0x30, ref="PoP 5 Transaction Diagnostic Block")
    gpr: u64s = at(0x80, count=16, ref="PoP 5 Transaction Diagnostic Block")


@control_block(size=16, byteorder="big", ref="SIE GISA")
class Gisa0(ControlBlock):
    """Guest interruption state area, format 0."""

    next_alert: u32 = at(0x00, ref="SIE GISA", doc="its own address: not in the alert list")
    ipm: u8 = at(0x04, ref="SIE GISA", doc="pending subclasses")
    state: u8 = at(0x06, ref="SIE GISA")
    iam: u8 = at(0x07, ref="SIE GISA", doc="alert mask")
    count: u32 = at(0x0C, ref="SIE GISA", doc="adapter interruptions")
    g: u8 = bits("state", 6, ref="SIE GISA")
    c: u8 = bits("state", 7, ref="SIE GISA")


@control_block(size=32, byteorder="big", ref="SIE GISA")
class Gisa1(ControlBlock):
    """Guest interruption state area, format 1."""

    next_alert: u32 = at(0x00, ref="SIE GISA", doc="its own address: not in the alert list")
    ipm: u8 = at(0x04, ref="SIE GISA", doc="pending subclasses")
    simm: u8 = at(0x05, ref="SIE GISA", doc="single-interruption mode")
    nimm: u8 = at(0x06, ref="SIE GISA", doc="no-interruption mode")
    iam: u8 = at(0x07, ref="SIE GISA", doc="alert mask")
    aism: bytes = at(0x08, size=8, ref="SIE GISA")
    state: u8 = at(0x10, ref="SIE GISA")
    count: u32 = at(0x1C, ref="SIE GISA", doc="adapter interruptions")
    g: u8 = bits("state", 6, ref="SIE GISA")
    c: u8 = bits("state", 7, ref="SIE GISA")


@control_block(size=0x100, byteorder="big", ref="SIE CRYCB")
class CryptoControlBlock(ControlBlock):
    """The crypto control block: adjunct-processor masks and wrapping-key masks.

    Format 0 uses the first 32 bytes, format 1 the first 128, format 2 all.
    """

    apm0: u64 = at(0x00, ref="SIE CRYCB", doc="adapters, formats 0 and 1")
    aqm0: u64 = at(0x08, ref="SIE CRYCB", doc="domains, formats 0 and 1")
    adm0: u64 = at(0x10, ref="SIE CRYCB", doc="control domains, formats 0 and 1")
    dea_mask: bytes = at(0x48, size=24, ref="SIE CRYCB", doc="DEA wrapping-key mask")
    aes_mask: bytes = at(0x60, size=32, ref="SIE CRYCB", doc="AES wrapping-key mask")
    apm1: u64s = at(0x80, count=4, ref="SIE CRYCB", doc="adapters, format 2")
    aqm1: u64s = at(0xA0, count=4, ref="SIE CRYCB", doc="domains, format 2")
    adm1: u64s = at(0xC0, count=4, ref="SIE CRYCB", doc="control domains, format 2")


# The secure instruction data area (SIDA) has no layout of its own: it holds the operand of the
# intercepted instruction as the instruction defines it, in up to 256 pages.
SIDA_MAX = 256 * 4096
