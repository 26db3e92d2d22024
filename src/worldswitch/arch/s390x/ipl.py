"""The parameter block of DIAGNOSE X'308' for a protected guest. ref: DIAG 308."""

from worldswitch.arch.control_block import ControlBlock, at, control_block, u8, u32, u64

KIND_PROTECTED = 5
MOST_COMPONENTS = 128


@control_block(size=0x18, byteorder="big", ref="DIAG 308")
class ImageComponent(ControlBlock):
    """A part of the encrypted image."""

    tweak: u64 = at(0x00, ref="DIAG 308", doc="left half of each page's tweak")
    address: u64 = at(0x08, ref="DIAG 308", doc="guest absolute address, whole pages")
    size: u64 = at(0x10, ref="DIAG 308", doc="in bytes, whole pages")


@control_block(size=0x88, byteorder="big", ref="DIAG 308")
class ProtectedIplBlock(ControlBlock):
    """Where the image and its header are; components follow."""

    length: u32 = at(0x00, ref="DIAG 308", doc="of all of it")
    version: u8 = at(0x07, ref="DIAG 308")
    block_length: u32 = at(0x08, ref="DIAG 308", doc="from here on")
    kind: u8 = at(0x0C, ref="DIAG 308", doc="5: protected")
    protected_version: u8 = at(0x6F, ref="DIAG 308")
    components: u32 = at(0x74, ref="DIAG 308", doc="how many follow")
    header_address: u64 = at(0x78, ref="DIAG 308", doc="secure-execution header")
    header_length: u64 = at(0x80, ref="DIAG 308")
