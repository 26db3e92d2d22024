"""ACPI machine language, as far as the board's tables need it. ref: ACPI 6.5, chapters 20 and 6.4.

Each function gives the bytes of one term.
"""

Term = bytes
ZERO, ONE, BYTE, WORD, DWORD, STRING, QWORD = 0x00, 0x01, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E
NAME, SCOPE, BUFFER, PACKAGE, DUAL, MULTI = 0x08, 0x10, 0x11, 0x12, 0x2E, 0x2F
EXTENDED, DEVICE = 0x5B, 0x82
END_TAG = b"\x79\0"
LONG_PACKAGE = 1 << 28


def name_string(path: str) -> bytes:
    """A path such as `\\_SB.PCI0`; segments are padded to four characters."""
    root = b"\\" if path.startswith("\\") else b""
    segments = [part.ljust(4, "_").encode("ascii") for part in path.lstrip("\\").split(".")]
    if any(len(part) != 4 for part in segments):
        raise ValueError(f"{path!r} has a segment of more than four characters")
    prefix = {1: b"", 2: bytes([DUAL])}.get(len(segments), bytes([MULTI, len(segments)]))
    return root + prefix + b"".join(segments)


def with_length(content: bytes) -> bytes:
    """PkgLength, which counts itself, and the content."""
    size = len(content) + 1
    if size < 0x40:
        return bytes([size]) + content
    for extra in (1, 2, 3):
        size = len(content) + 1 + extra
        if size < 1 << 4 + 8 * extra:
            return (
                bytes([extra << 6 | size & 0xF]) + (size >> 4).to_bytes(extra, "little") + content
            )
    raise ValueError(f"{len(content)} bytes do not fit in one package")


def integer(value: int) -> Term:
    """An integer constant of up to 64 bits, in its shortest form."""
    if value < 2:
        return bytes([ZERO if value == 0 else ONE])
    for prefix, size in ((BYTE, 1), (WORD, 2), (DWORD, 4)):
        if value < 1 << 8 * size:
            return bytes([prefix]) + value.to_bytes(size, "little")
    return bytes([QWORD]) + value.to_bytes(8, "little")


def string(text: str) -> Term:
    """A string constant."""
    return bytes([STRING]) + text.encode("ascii") + b"\0"


def eisa_id(text: str) -> Term:
    """A device identifier such as PNP0501, in its compressed form."""
    letters = 0
    for letter in text[:3]:
        letters = letters << 5 | ord(letter) - 0x40
    value = letters << 16 | int(text[3:], 16)
    return bytes([DWORD]) + value.to_bytes(4, "big")


def package(*elements: Term) -> Term:
    """A package of at most 255 elements."""
    return bytes([PACKAGE]) + with_length(bytes([len(elements)]) + b"".join(elements))


def buffer(data: bytes) -> Term:
    """A buffer with its content."""
    return bytes([BUFFER]) + with_length(integer(len(data)) + data)


def name(path: str, value: Term) -> Term:
    """An object with a value."""
    return bytes([NAME]) + name_string(path) + value


def scope(path: str, *content: Term) -> Term:
    """Objects in an existing part of the name space."""
    return bytes([SCOPE]) + with_length(name_string(path) + b"".join(content))


def device(path: str, *content: Term) -> Term:
    """A device and its objects."""
    return bytes([EXTENDED, DEVICE]) + with_length(name_string(path) + b"".join(content))


# --- resource descriptors: the elements of _CRS ---------------------------------------------------


def resources(*descriptors: bytes) -> Term:
    """A resource template: descriptors and the end tag."""
    return buffer(b"".join(descriptors) + END_TAG)


def ports(first: int, count: int) -> bytes:
    """Fixed I/O ports, 16 address lines decoded."""
    start = first.to_bytes(2, "little")
    return bytes([0x47, 1]) + start + start + bytes([1, count])


def irq(number: int) -> bytes:
    """An edge-triggered interrupt of the ISA bus."""
    return bytes([0x22]) + (1 << number).to_bytes(2, "little")


BUS_NUMBERS, PORT_WINDOW, MEMORY_WINDOW = 2, 1, 0
PRODUCER_FIXED = 0x0C
"""The window is passed on to devices below; both its ends are fixed."""
ENTIRE_RANGE = 3
READ_WRITE = 1


def window(kind: int, first: int, last: int) -> bytes:
    """Addresses that a bridge passes on, `last` included: of kind BUS_NUMBERS and its like."""
    size = 2 if kind != MEMORY_WINDOW else 4 if last < 1 << 32 else 8
    specific = {BUS_NUMBERS: 0, PORT_WINDOW: ENTIRE_RANGE, MEMORY_WINDOW: READ_WRITE}[kind]
    fields = bytes([kind, PRODUCER_FIXED, specific])
    for value in (0, first, last, 0, last - first + 1):
        fields += value.to_bytes(size, "little")
    tag = {2: 0x88, 4: 0x87, 8: 0x8A}[size]
    return bytes([tag]) + len(fields).to_bytes(2, "little") + fields
