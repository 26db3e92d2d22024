"""A processor with the tables of address-space numbers, program calls and the linkage stack.

Two spaces, numbers 5 (primary) and 7, are real spaces with different origins, so that storage is
the same in both and their ASCEs differ.
"""

from tests.semantics.bench import PSW_64, Bench

DAT = 0x0400_0000_0000_0000
PROBLEM = 0x0001_0000_0000_0000
DUCT, FIRST_TABLE, SECOND_TABLE, AUTHORITY = 0x8000, 0xA000, 0xB000, 0xC000
LINKAGE, ENTRIES, SECTION, SECTION_2 = 0xD000, 0x1_4000, 0x1_0000, 0x1_2000
ASCE = {5: 0x5000_0020, 7: 0x7000_0020}
INDEX = {5: 3, 7: 9}
STACK = SECTION + 8
TRANSLATION = 1 << 19
EVENT = 0x40


def aste(asn: int) -> int:
    """Address of a space's ASN-second-table entry."""
    return SECOND_TABLE + 64 * asn


def linked(engine: str) -> Bench:
    """A bench in space 5, with a linkage stack of two sections, and program 3 to call."""
    bench = Bench(engine=engine)
    put = bench.put
    put(FIRST_TABLE, SECOND_TABLE, 4)
    for asn in (5, 7):
        put(aste(asn), AUTHORITY, 4)
        put(aste(asn) + 4, INDEX[asn] << 16 | 0xFFF0, 4)
        put(aste(asn) + 8, ASCE[asn])
        put(aste(asn) + 20, 0x1000 + asn, 4)
        put(aste(asn) + 24, 0x8000_0000 | LINKAGE, 4)
        put(aste(asn) + 44, 0x2000 + asn, 4)
    put(SECOND_TABLE + 64 * 6, 0x8000_0000, 4)
    bench.write(AUTHORITY, b"\xff" * 16)
    put(LINKAGE, ENTRIES | 0x3F, 4)
    put(LINKAGE + 4, 0x8000_0000, 4)
    put(SECTION + 8, 0x0901 << 48 | 600 << 32)
    put(SECTION + 16 + 600, SECTION_2 + 8 | 1)
    put(SECTION_2 + 8, 0x0902 << 48 | 1000 << 32)
    bench.controls(
        cr1=ASCE[5], cr2=DUCT, cr3=0xFFFF_0005, cr4=INDEX[5] << 16 | 5, cr5=aste(5), cr7=ASCE[5],
        cr8=0x1234_0000, cr13=0x20, cr14=TRANSLATION | FIRST_TABLE >> 12, cr15=STACK,
    )  # fmt: skip
    bench.psw(PSW_64 | DAT)
    for n in range(16):
        bench.raw.gr[n] = 0x0101_0101_0101_0101 * n
        bench.raw.ar[n] = 0
    return bench


def program(
    bench: Bench, number: int, address: int = 0x2_0000, options: int = 0xC000_0000, asn: int = 0,
    word1: int = 0, keys: int = 0xFFFF, entry_keys: int = 0,
) -> None:  # fmt: skip
    """Enter a program into the entry table. Options: by default stacking, 64-bit mode."""
    where = ENTRIES + 32 * number
    bench.put(where, address | word1)
    bench.put(where + 8, keys << 16 | asn, 4)
    bench.put(where + 12, entry_keys << 16, 4)
    bench.put(where + 16, options, 4)
    bench.put(where + 20, aste(asn) if asn else 0, 4)
    bench.put(where + 24, 0xAAAA_BBBB_CCCC_DDDD)
