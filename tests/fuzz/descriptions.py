"""Random state descriptions given to SIE on a physical processor.

Run as a program it prints, for each seed, what the entries ended with.
"""

import sys
from random import Random

from tests.fuzz.programs import text_of
from tests.guests.sie_guest import ORIGIN, SIZE, SieGuest
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.s390x.insn import TABLE

BLOCK = 512
ENTRIES = 3
SLICE = 2000


def mutate(block: bytearray, rng: Random) -> None:
    """Change a few bits, bytes or doublewords, or all of it."""
    way = rng.random()
    if way < 0.1:
        block[:] = rng.randbytes(BLOCK)
        return
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        at = rng.randrange(BLOCK)
        if way < 0.5:
            block[at] ^= 1 << rng.randrange(8)
        elif way < 0.8:
            block[at] = rng.getrandbits(8)
        else:
            at &= ~7
            value = rng.choice((rng.getrandbits(64), rng.randrange(4 << 20) & ~0xFFF, 2**64 - 1))
            block[at : at + 8] = value.to_bytes(8, "big")


def attempt(guest: SieGuest, baseline: bytes, rng: Random) -> list[str]:
    """Give one state description to SIE a few times; what came of each."""
    where = guest.addresses[0]
    block = bytearray(baseline)
    mutate(block, rng)
    guest.storage.write(where, bytes(block))
    if rng.random() < 0.7:
        guest.block.gpsw_addr = rng.randrange(0x200, SIZE) & ~1
    for n in range(16):
        guest.host.gr[n] = rng.choice((rng.randrange(SIZE), rng.getrandbits(64)))
    seen: list[str] = []
    for _ in range(ENTRIES):
        result = guest.host.sie(where)
        assert isinstance(result, EntryResult)
        code = Icpt(guest.block.icptcode).name if result is EntryResult.EXIT else ""
        seen.append(f"{result.name}:{code}")
        if code == "VALIDITY":
            break
    return seen


def run(seed: int, count: int) -> dict[str, int]:
    """Outcomes of `count` state descriptions, by kind."""
    rng = Random(seed)
    guest = SieGuest("j .")
    guest.add_sca()
    guest.host.time_slice = SLICE
    items = list(TABLE.values())
    texts = b"".join(text_of(rng.choice(items), rng) for _ in range(SIZE // 8))
    guest.write(0x200, texts[: SIZE - 0x200])
    baseline = guest.storage.read(guest.addresses[0], BLOCK)
    seen: dict[str, int] = {}
    everything = guest.storage.read(0, ORIGIN)
    for _ in range(count):
        for name in attempt(guest, baseline, rng):
            seen[name] = seen.get(name, 0) + 1
        if rng.random() < 0.05:
            guest.storage.write(0, everything)
            guest.write(0x200, texts[: SIZE - 0x200])
    return seen


if __name__ == "__main__":
    first, seeds, size = map(int, sys.argv[1:])
    for number in range(first, first + seeds):
        print(f"start {number}", flush=True)
        print(number, size, run(number, size), flush=True)
