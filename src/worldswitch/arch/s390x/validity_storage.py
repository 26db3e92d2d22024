"""Validity rules for addresses: guest storage, prefix, and the blocks that an entry designates."""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.sie_controls import CpuStat, Eca, Ecb, Ecb2, Ecb3, Ecd
from worldswitch.arch.s390x.sie_host import SieHost, ValidityReason
from worldswitch.arch.s390x.sie_satellites import BasicSca, ExtendedSca
from worldswitch.arch.s390x.state_description import (
    CBRL_ORIGIN,
    CRYCB_FORMAT,
    CRYCB_ORIGIN,
    FAC_FORMAT,
    FAC_ORIGIN,
    GISA_FORMAT,
    GISA_ORIGIN,
    GVRD_ORIGIN,
    ITDB_ORIGIN,
    MAIN_STORAGE_MASK,
    PREFIX_SHIFT,
    RICCB_ORIGIN,
    SCA_ORIGIN_EXTENDED,
    SDNX_ORIGIN,
    SDNX_SIZE,
    SIDA_ORIGIN,
    SIDA_SIZE,
    StateDescription,
    is_protected,
    sca_origin,
    sida_size,
)

rule = StateDescription.rule
PAGE = 4096
LOWCORE_END = 2 * PAGE
MIB_MINUS_1 = 0xF_FFFF


def _outside(what: str, origin: int, length: int, host: SieHost) -> str | None:
    """Why a block cannot be at a host address: in the lowcore, or not in storage at all."""
    if origin < LOWCORE_END:
        return f"{what} {origin:#x} is below {LOWCORE_END:#x}"
    if origin + length > host.storage_limit:
        return f"{what} {origin:#x} is outside host storage, which ends at {host.storage_limit:#x}"
    return None


def _crosses_page(origin: int, length: int) -> bool:
    return origin // PAGE != (origin + length - 1) // PAGE


def _limits(block: StateDescription) -> tuple[int, int]:
    """First and last host address of guest storage."""
    origin = 0 if block.cpuflags & CpuStat.SM else block.mso & MAIN_STORAGE_MASK
    return origin, block.msl & MAIN_STORAGE_MASK | MIB_MINUS_1


@rule("main-storage-extent", ref="SIE msl", code=ValidityReason.MAIN_STORAGE_EXTENT)
def main_storage_extent(block: StateDescription, _host: SieHost) -> str | None:
    """Guest storage ends behind its origin. Bits 44-63 of both are ignored, so no alignment."""
    first, last = _limits(block)
    if block.cpuflags & CpuStat.SM or first <= last:
        return None
    return f"mso {block.mso:#x} is above msl {block.msl:#x}"


@rule("prefix-in-storage", ref="VSIE map_prefix", code=ValidityReason.PREFIX_INACCESSIBLE)
def prefix_in_storage(block: StateDescription, _host: SieHost) -> str | None:
    """Both pages of the prefix area are in guest storage."""
    first, last = _limits(block)
    prefix = block.prefix << PREFIX_SHIFT
    if block.cpuflags & CpuStat.SM or first > last or first + prefix + LOWCORE_END - 1 <= last:
        return None
    return f"prefix {prefix:#x} is outside guest storage of {last + 1 - first:#x} bytes"


@rule("sca-present", ref="SIE scao", code=ValidityReason.SCA_MISSING)
def sca_present(block: StateDescription, _host: SieHost) -> str | None:
    """Interpretation that works on the SCA has one."""
    users = Eca.SIGPI | Eca.SII
    if sca_origin(block) or not (block.eca & users or block.ecb2 & Ecb2.ESCA):
        return None
    return f"the SCA origin is zero, but eca {block.eca:#010x} or ecb2 {block.ecb2:#04x} needs it"


@rule("sca-alignment", ref="SIE scao", code=ValidityReason.SCA_ALIGNMENT)
def sca_alignment(block: StateDescription, _host: SieHost) -> str | None:
    """An extended SCA is on a 64-byte boundary, a basic one on a 16-byte boundary."""
    boundary = 64 if block.ecb2 & Ecb2.ESCA else 16
    if not block.scaol & (boundary - 1):
        return None
    return f"scaol is {block.scaol:#010x}; it must be a multiple of {boundary}"


@rule("sca-above-lowcore", ref="VSIE pin_blocks", code=ValidityReason.SCA_IN_LOWCORE)
def sca_above_lowcore(block: StateDescription, _host: SieHost) -> str | None:
    """The SCA is not in the first 8 KiB."""
    origin = sca_origin(block)
    if not 0 < origin < LOWCORE_END:
        return None
    return f"the SCA origin {origin:#x} is below {LOWCORE_END:#x}"


@rule("sca-not-prefix", ref="VSIE pin_blocks", code=ValidityReason.SCA_IS_PREFIX)
def sca_not_prefix(block: StateDescription, host: SieHost) -> str | None:
    """The SCA is not in the host CPU's prefix area."""
    origin = sca_origin(block)
    if not origin or not host.prefix or origin & ~(LOWCORE_END - 1) != host.prefix:
        return None
    return f"the SCA origin {origin:#x} is in the host's prefix area at {host.prefix:#x}"


@rule("sca-in-page", ref="VSIE pin_blocks", code=ValidityReason.SCA_BOUNDARY)
def sca_in_page(block: StateDescription, _host: SieHost) -> str | None:
    """The SCA's header does not cross a page boundary."""
    origin = sca_origin(block)
    extended = bool(block.ecb2 & Ecb2.ESCA)
    header = ExtendedSca.offset_of("cpu") if extended else BasicSca.offset_of("cpu")
    if not origin or not _crosses_page(origin, header):
        return None
    return f"the SCA's first {header} bytes at {origin:#x} cross a page boundary"


@rule("sca-in-storage", ref="VSIE pin_blocks", code=ValidityReason.SCA_INACCESSIBLE)
def sca_in_storage(block: StateDescription, host: SieHost) -> str | None:
    """The whole SCA is in host storage."""
    origin = sca_origin(block)
    size = ExtendedSca.block_size if block.ecb2 & Ecb2.ESCA else BasicSca.block_size
    if origin < LOWCORE_END or origin + size <= host.storage_limit:
        return None
    return f"the SCA at {origin:#x} is outside host storage, which ends at {host.storage_limit:#x}"


@rule("itdb-accessible", ref="VSIE pin_blocks", code=ValidityReason.ITDB_INACCESSIBLE)
def itdb_accessible(block: StateDescription, host: SieHost) -> str | None:
    """With transactions, a nonzero ITDB address is above the lowcore and in storage."""
    origin = block.itdba & ITDB_ORIGIN
    if not block.ecb & Ecb.TE or not origin:
        return None
    return _outside("itdba", origin, 256, host)


@rule("vector-save-area", ref="VSIE pin_blocks", code=ValidityReason.VECTOR_SAVE_AREA)
def vector_save_area(block: StateDescription, host: SieHost) -> str | None:
    """The vector registers have a save area unless the host manages them."""
    if not block.eca & Eca.VX or block.ecd & Ecd.HOSTREGMGMT:
        return None
    return _outside("gvrd", block.gvrd & GVRD_ORIGIN, 512, host)


@rule("riccb-accessible", ref="VSIE pin_blocks", code=ValidityReason.RICCB_INACCESSIBLE)
def riccb_accessible(block: StateDescription, host: SieHost) -> str | None:
    """With runtime instrumentation, a nonzero control block is in storage."""
    origin = block.riccbd & RICCB_ORIGIN
    if not block.ecb3 & Ecb3.RI or not origin:
        return None
    return _outside("riccbd", origin, 64, host)


def _uses_sdnx(block: StateDescription) -> bool:
    guarded = block.ecb & Ecb.GS and not block.ecd & Ecd.HOSTREGMGMT
    return bool(guarded or block.ecd & Ecd.ETOKENF)


@rule("sdnx-accessible", ref="VSIE pin_blocks", code=ValidityReason.SDNX_INACCESSIBLE)
def sdnx_accessible(block: StateDescription, host: SieHost) -> str | None:
    """Guarded storage and etoken have their extension of the state description in storage."""
    if not _uses_sdnx(block):
        return None
    return _outside("sdnxo", block.sdnxo & SDNX_ORIGIN, 1 << (block.sdnxo & SDNX_SIZE), host)


@rule("sdnx-size", ref="VSIE pin_blocks", code=ValidityReason.SDNX_SIZE)
def sdnx_size(block: StateDescription, _host: SieHost) -> str | None:
    """The extension's size code is 6 to 12: 64 to 4096 bytes."""
    size = block.sdnxo & SDNX_SIZE
    if not _uses_sdnx(block) or 6 <= size <= 12:
        return None
    return f"the size code in sdnxo {block.sdnxo:#x} is {size}; it must be 6 to 12"


@rule("sdnx-alignment", ref="VSIE pin_blocks", code=ValidityReason.SDNX_ALIGNMENT)
def sdnx_alignment(block: StateDescription, _host: SieHost) -> str | None:
    """The extension is aligned to its size."""
    size = 1 << (block.sdnxo & SDNX_SIZE)
    if not _uses_sdnx(block) or not (block.sdnxo & SDNX_ORIGIN) % size:
        return None
    return f"sdnxo {block.sdnxo:#x} is not a multiple of its size, {size}"


def _uses_crycb(block: StateDescription, host: SieHost) -> bool:
    if block.eca & Eca.APIE:
        return True
    return bool(block.crycbd & CRYCB_FORMAT) and host.has(Facility.MSA_3)


@rule("crycb-present", ref="VSIE shadow_crycb", code=ValidityReason.CRYCB_ZERO)
def crycb_present(block: StateDescription, host: SieHost) -> str | None:
    """Crypto interpretation has a crypto control block."""
    if not _uses_crycb(block, host) or block.crycbd & CRYCB_ORIGIN:
        return None
    return f"crycbd is {block.crycbd:#010x}; its address must not be zero"


@rule("crycb-format", ref="VSIE shadow_crycb", code=ValidityReason.CRYCB_FORMAT)
def crycb_format(block: StateDescription, host: SieHost) -> str | None:
    """The format is 0, 1 or 2, coded as 00, 01 and 11."""
    if not _uses_crycb(block, host) or block.crycbd & CRYCB_FORMAT != 2:
        return None
    return f"bits 30-31 of crycbd {block.crycbd:#010x} are 10, which is no format"


@rule("crycb-in-page", ref="VSIE shadow_crycb", code=ValidityReason.CRYCB_BOUNDARY)
def crycb_in_page(block: StateDescription, host: SieHost) -> str | None:
    """The crypto control block does not cross a page boundary."""
    origin = block.crycbd & CRYCB_ORIGIN
    size = {0: 32, 1: 128}.get(block.crycbd & CRYCB_FORMAT, 256)
    if not _uses_crycb(block, host) or not _crosses_page(origin, size):
        return None
    return f"the crypto control block of {size} bytes at {origin:#x} crosses a page boundary"


@rule("crycb-in-storage", ref="VSIE shadow_crycb", code=ValidityReason.CRYCB_INACCESSIBLE)
def crycb_in_storage(block: StateDescription, host: SieHost) -> str | None:
    """The crypto control block is in host storage."""
    origin = block.crycbd & CRYCB_ORIGIN
    if not _uses_crycb(block, host) or origin + 256 <= host.storage_limit:
        return None
    return f"crycbd {origin:#x} is outside host storage, which ends at {host.storage_limit:#x}"


@rule("gisa-designation", ref="SIE gd", code=ValidityReason.GISA)
def gisa_designation(block: StateDescription, host: SieHost) -> str | None:
    """The guest interruption state area: format 0 or 1, aligned to its size, in storage."""
    origin, form = block.gd & GISA_ORIGIN, block.gd & GISA_FORMAT
    if not block.gd and not block.eca & Eca.AIV:
        return None
    if block.gd & 0xC or form > 1:
        return f"gd is {block.gd:#010x}; bits 28-31 must be 0 (format 0) or 1 (format 1)"
    if not origin:
        return f"gd is {block.gd:#010x}; the address must not be zero with a format or with AIV"
    if form == 1 and origin & 0x1F:
        return f"gd is {block.gd:#010x}; a format-1 area must be on a 32-byte boundary"
    return _outside("gd", origin, 32 if form else 16, host)


@rule("facility-list-format", ref="SIE fac", code=ValidityReason.FACILITY_LIST_FORMAT)
def facility_list_format(block: StateDescription, _host: SieHost) -> str | None:
    """The facility-list designation is of format 0: a doubleword address below 2 GiB."""
    if not block.fac & ~FAC_ORIGIN & 0xFFFF_FFFF:
        return None
    # UNMODELLED: alternate STFLE interpretive execution, which gives bits 29-31 a meaning.
    form = block.fac & FAC_FORMAT
    return f"fac is {block.fac:#010x} (format {form}); bits 0 and 29-31 must be zero"


@rule("facility-list-in-storage", ref="VSIE handle_stfle",
      code=ValidityReason.FACILITY_LIST_INACCESSIBLE)  # fmt: skip
def facility_list_in_storage(block: StateDescription, host: SieHost) -> str | None:
    """The facility list is in host storage."""
    origin = block.fac & FAC_ORIGIN
    if not origin or origin + 8 <= host.storage_limit:
        return None
    return f"fac {origin:#x} is outside host storage, which ends at {host.storage_limit:#x}"


@rule("cmma-list", ref="SIE cbrlo", code=ValidityReason.CMMA_LIST)
def cmma_list(block: StateDescription, host: SieHost) -> str | None:
    """Collaborative memory management has its block list in storage."""
    if not block.ecb2 & Ecb2.CMMA:
        return None
    return _outside("cbrlo", block.cbrlo & CBRL_ORIGIN, PAGE, host)


@rule("protected-handles", ref="SIE protected guest", code=ValidityReason.PV_HANDLES)
def protected_handles(block: StateDescription, _host: SieHost) -> str | None:
    """A protected guest's state description names its configuration and CPU."""
    if not is_protected(block) or (block.pv_handle_cpu and block.pv_handle_config):
        return None
    return (
        f"the handles of the CPU ({block.pv_handle_cpu:#x}) and of the configuration "
        f"({block.pv_handle_config:#x}) must not be zero"
    )


@rule("protected-sca", ref="SIE protected guest", code=ValidityReason.PV_SCA)
def protected_sca(block: StateDescription, _host: SieHost) -> str | None:
    """A protected guest has an extended SCA."""
    if not is_protected(block):
        return None
    origin = (block.scaoh << 32 | block.scaol) & SCA_ORIGIN_EXTENDED
    if block.ecb2 & Ecb2.ESCA and origin:
        return None
    return f"ecb2 is {block.ecb2:#04x}, the SCA origin {origin:#x}: an extended SCA is required"


@rule("protected-instruction-data", ref="SIE sidad", code=ValidityReason.PV_INSTRUCTION_DATA)
def protected_instruction_data(block: StateDescription, host: SieHost) -> str | None:
    """A protected guest's instruction data area is whole pages in host storage."""
    if not is_protected(block):
        return None
    if block.sidad & ~SIDA_ORIGIN & ~SIDA_SIZE:
        return f"sidad is {block.sidad:#x}; bits 52-55 must be zero"
    return _outside("sidad", block.sidad & SIDA_ORIGIN, sida_size(block), host)
