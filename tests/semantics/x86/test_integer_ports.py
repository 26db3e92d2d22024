"""INS and OUTS with a device that notes what it is asked."""

from typing import Any

import pytest

from tests.semantics.x86.bench import CODE, DATA, DF, TSS, Bench
from worldswitch.arch.x86.exceptions import Vector
from worldswitch.metal.x86.bus import BUS_IN, BUS_OUT


class Port:
    """Counts up with each read."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int, int]] = []

    def __call__(self, processor: Any) -> None:
        raw = processor.raw
        self.seen.append((raw.bus_kind, raw.bus_address, raw.bus_size, raw.bus_value))
        if raw.bus_kind == BUS_IN:
            raw.bus_value = 0x1122_3300 + len(self.seen)


@pytest.fixture(params=["native", "python"])
def port(request: pytest.FixtureRequest) -> tuple[Bench, Port]:
    """64-bit mode with the device."""
    device = Port()
    return Bench("long64", engine=request.param, bus=device), device


def test_ins_repeated_fills_memory(port: tuple[Bench, Port]) -> None:
    """Words, downwards."""
    bench, device = port
    bench.write(DATA, bytes(16))
    after = bench.run("f3 66 6d", flags=DF, rdx=0x1_01F0, rdi=DATA + 4, rcx=3)
    assert bench.read(DATA, 8) == bytes.fromhex("0333 0233 0133 0000")
    assert (after.rdi, after.rcx, after.rip) == (DATA - 2, 0, CODE + 3)
    assert device.seen == [(BUS_IN, 0x1F0, 2, 0)] * 3


def test_outs_single_and_repeated_send_memory(port: tuple[Bench, Port]) -> None:
    """REX.W does not make 64 bits of it."""
    bench, device = port
    bench.write(DATA, bytes(range(1, 13)))
    after = bench.run("6e f3 48 6f", rdx=0x3F8, rsi=DATA, rcx=2)
    assert (after.rsi, after.rcx) == (DATA + 9, 0)
    expected = [(1, 1), (4, 0x0504_0302), (4, 0x0908_0706)]
    assert device.seen == [(BUS_OUT, 0x3F8, size, value) for size, value in expected]


def test_ins_fault_does_not_read_port(port: tuple[Bench, Port]) -> None:
    """Memory is checked first."""
    bench, device = port
    after = bench.run("6c", rdx=0x60, rdi=1 << 40)
    assert (after.exception, after.error, device.seen) == (Vector.PF, 2, [])


def test_ins_count_zero_does_nothing(port: tuple[Bench, Port]) -> None:
    """Nor are there checks."""
    bench, device = port
    after = bench.run("f3 6c", rdx=0x60, rdi=1 << 40)
    assert (after.exception, after.rip, device.seen) == (None, CODE + 2, [])


def test_outs_without_permission_is_general_protection() -> None:
    """Level 3 with IOPL 0, and a bitmap that lies behind the TSS."""
    device = Port()
    bench = Bench("long64", cpl=3, bus=device)
    bench.put(TSS + 0x66, 0x68, 2)
    after = bench.run("6e", rdx=0x60, rsi=DATA)
    assert (after.exception, after.error, device.seen) == (Vector.GP, 0, [])
