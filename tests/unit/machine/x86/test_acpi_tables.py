"""The ACPI tables, followed from the root pointer as an operating system does."""

import struct

import pytest

from worldswitch.machine.x86 import aml
from worldswitch.machine.x86.acpi_tables import Tables, build
from worldswitch.machine.x86.layout import HIGH_MEMORY


class Reader:
    """The tables by their addresses."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def at(self, address: int, size: int) -> bytes:
        start = address - self.tables.address
        assert 0 <= start <= start + size <= len(self.tables.data)
        return self.tables.data[start : start + size]

    def table(self, address: int) -> bytes:
        size = int.from_bytes(self.at(address + 4, 4), "little")
        data = self.at(address, size)
        if data[:4] != b"FACS":
            assert sum(data) & 0xFF == 0
        return data

    def pointers(self) -> tuple[list[int], list[int]]:
        root = self.at(self.tables.rsdp, 36)
        assert root[:8] == b"RSD PTR "
        assert sum(root[:20]) & 0xFF == sum(root) & 0xFF == 0
        rsdt = self.table(int.from_bytes(root[16:20], "little"))
        xsdt = self.table(int.from_bytes(root[24:32], "little"))
        count = (len(rsdt) - 36) // 4
        return (
            list(struct.unpack_from(f"<{count}I", rsdt, 36)),
            list(struct.unpack_from(f"<{count}Q", xsdt, 36)),
        )

    def find(self, signature: bytes) -> bytes:
        _, addresses = self.pointers()
        return next(data for data in map(self.table, addresses) if data[:4] == signature)


def entries(madt: bytes) -> list[bytes]:
    """The structures of a MADT."""
    found, at = [], 44
    while at < len(madt):
        found.append(madt[at : at + madt[at + 1]])
        at += madt[at + 1]
    assert at == len(madt)
    return found


def test_both_root_tables_list_the_same() -> None:
    reader = Reader(build(range(2)))
    old, new = reader.pointers()
    assert old == new
    assert [reader.table(address)[:4] for address in new] == [b"FACP", b"APIC"]


def test_root_pointer_is_where_systems_search_for_it() -> None:
    tables = build(range(255))
    assert tables.rsdp % 16 == 0
    assert tables.rsdp >= 0xE0000
    assert tables.rsdp + len(tables.data) <= HIGH_MEMORY


def test_fadt_names_ports_reset_and_the_other_tables() -> None:
    reader = Reader(build(range(1)))
    fadt = reader.find(b"FACP")
    assert len(fadt) == 276
    facs, dsdt = struct.unpack_from("<II", fadt, 36)
    assert struct.unpack_from("<QQ", fadt, 132) == (0, dsdt)
    assert reader.table(facs)[:8] == b"FACS" + (64).to_bytes(4, "little")
    assert facs % 64 == 0
    assert reader.table(dsdt)[:4] == b"DSDT"
    assert struct.unpack_from("<H", fadt, 46) == (9,)
    assert struct.unpack_from("<I", fadt, 56) == (0x600,)
    assert struct.unpack_from("<I", fadt, 64) == (0x604,)
    assert struct.unpack_from("<I", fadt, 76) == (0x608,)
    assert fadt[116:129] == bytes([1, 8, 0, 1]) + (0xCF9).to_bytes(8, "little") + b"\x06"
    assert fadt[208:220] == bytes([1, 32, 0, 3]) + (0x608).to_bytes(8, "little")


def test_madt_has_processors_ioapic_and_overrides() -> None:
    madt = Reader(build([0, 1, 2])).find(b"APIC")
    found = entries(madt)
    assert [entry[3] for entry in found if entry[0] == 0] == [0, 1, 2]
    assert [struct.unpack("<BBBBII", e)[4] for e in found if e[0] == 1] == [0xFEC0_0000]
    overrides = {e[3]: struct.unpack("<IH", e[4:]) for e in found if e[0] == 2}
    assert overrides == {0: (2, 0), 5: (5, 13), 9: (9, 13), 10: (10, 13), 11: (11, 13)}


def test_madt_processors_beyond_the_xapic_have_x2apic_entries() -> None:
    madt = Reader(build(range(300))).find(b"APIC")
    found = entries(madt)
    assert len([entry for entry in found if entry[0] == 0]) == 255
    wide = [struct.unpack("<BBHIII", entry) for entry in found if entry[0] == 9]
    assert [entry[3] for entry in wide] == list(range(255, 300))
    assert any(entry[0] == 10 for entry in found)


def test_dsdt_has_soft_off_and_devices() -> None:
    reader = Reader(build(range(1)))
    dsdt = reader.table(struct.unpack_from("<I", reader.find(b"FACP"), 40)[0])
    assert b"\x08\\_S5_\x12\x07\x04\x0a\x05\x00\x00\x00" in dsdt
    for identifier in ("PNP0A03", "PNP0501", "PNP0B00"):
        assert aml.eisa_id(identifier) in dsdt


@pytest.mark.parametrize(
    ("path", "encoded"),
    [
        ("ABC", b"ABC_"),
        ("\\_SB", b"\\_SB_"),
        ("\\_SB.PCI0", b"\\\x2e_SB_PCI0"),
        ("A.B.C", b"\x2f\x03A___B___C___"),
    ],
)
def test_aml_name_string_has_segments_of_four(path: str, encoded: bytes) -> None:
    assert aml.name_string(path) == encoded


def test_aml_name_string_with_a_long_segment_is_refused() -> None:
    with pytest.raises(ValueError, match="four characters"):
        aml.name_string("\\_SB.DEVICE")


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, b"\x00"),
        (1, b"\x01"),
        (0xFF, b"\x0a\xff"),
        (0x1234, b"\x0b\x34\x12"),
        (0x12345678, b"\x0c\x78\x56\x34\x12"),
        (1 << 32, b"\x0e\0\0\0\0\x01\0\0\0"),
    ],
)
def test_aml_integer_takes_its_shortest_form(value: int, encoded: bytes) -> None:
    assert aml.integer(value) == encoded


@pytest.mark.parametrize("size", [0, 0x3E, 0x3F, 0xFFD, 0xFFE, 0xFFFFC, 0xFFFFD])
def test_aml_package_length_counts_itself(size: int) -> None:
    encoded = aml.with_length(bytes(size))
    extra = encoded[0] >> 6
    length = encoded[0] & (0xF if extra else 0x3F)
    length |= int.from_bytes(encoded[1 : 1 + extra], "little") << 4
    assert length == len(encoded)
    assert len(encoded) == 1 + extra + size


def test_aml_package_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        aml.with_length(bytes(1 << 28))


def test_aml_identifier_is_compressed() -> None:
    assert aml.eisa_id("PNP0501") == b"\x0c\x41\xd0\x05\x01"
