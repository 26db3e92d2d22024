"""Superinstructions beside a processor that steps, which executes their parts one by one."""

from random import Random

import pytest

from tests.semantics.x86.bench import CODE, DATA, PF, REGISTERS, STATUS, Bench, Result
from worldswitch.lab.x86_assembler import assemble
from worldswitch.metal.x86.insn import Insn
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.state import JUMP_CACHE_SIZE, Record
from worldswitch.metal.x86.superinsns import SEQUENCES, Superinsn, superinsns
from worldswitch.metal.x86.table import flow_of

STATES = 30
UNMAPPED = 1 << 31
RSP, RSI, RDI = 4, 6, 7
DISTANCE = 0x40
"""Of branches."""
VALUES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 63, 2**64 - 1)


def text_of(item: Insn, rng: Random) -> bytes:
    """One of the encodings of an instruction; memory operands have RSI or RDI as their base."""
    encoding = item.encoding
    assert encoding.map in (0, 1), item.symbol
    rex = 0x48 if item.size == 64 and not item.rules.d64 else 0x40
    opcode = b"\x0f" * encoding.map + bytes([encoding.opcode | encoding.plus_r * rng.randrange(4)])
    if item.immediate == "j":
        return opcode + bytes([DISTANCE])
    modrm = b""
    if item.mod or encoding.reg is not None:
        reg, register = encoding.reg, rng.randrange(4)
        if reg is None:
            reg = rng.randrange(4)
            rex |= rng.choice((0, 4))
        modrm = bytes([0xC0 | reg << 3 | register])
        if item.mod == "mem":
            modrm = bytes([0x40 | reg << 3 | rng.choice((RSI, RDI)), rng.randrange(0x80)])
    count = item.immediate_bits // 8
    value = rng.choice(VALUES) if rng.random() < 0.5 else rng.getrandbits(32)
    return bytes([rex]) + opcode + modrm + value.to_bytes(8, "little")[:count]


def registers(rng: Random) -> dict[str, int]:
    """Values that are often equal; pointers to memory, or to none."""
    few = rng.sample(VALUES, 2)
    found = {name: rng.choice((*few, rng.getrandbits(64))) for name in REGISTERS}
    for n in (RSP, RSI, RDI):
        mapped = rng.random() < 0.8
        found[REGISTERS[n]] = (DATA if mapped else UNMAPPED) + rng.randrange(0x100) * 8
    return found


def state(bench: Bench, result: Result) -> tuple[object, ...]:
    """Everything that a run may have changed."""
    return result, bench.read(DATA, 0x1000), bench.processor.icount


def handler(bench: Bench) -> int:
    """Of the first record of the block that was executed last."""
    found = bench.raw.jumps[CODE & (JUMP_CACHE_SIZE - 1)]
    assert found.pc == CODE
    return Record.raw_at(found.record).handler


@pytest.fixture(scope="module")
def benches() -> tuple[Bench, Bench]:
    """One that executes blocks, and one that steps."""
    stepped = Bench(cpl=3)
    stepped.raw.stepping = 1
    return Bench(cpl=3), stepped


@pytest.mark.parametrize("number", range(len(SEQUENCES)))
def test_sequence_does_what_its_instructions_do(benches: tuple[Bench, Bench], number: int) -> None:
    """From random states, some of which make the first part fault, and some a later one."""
    rng = Random(number)
    faults: set[int] = set()
    wanted = [set(place) for place in SEQUENCES[number]]
    several = [
        one
        for one in superinsns()
        if len(one.parts) == len(wanted)
        and all(part.symbol in place for part, place in zip(one.parts, wanted, strict=True))
    ]
    for one in several:
        for _ in range(STATES):
            texts = [text_of(part, rng) for part in one.parts]
            given, flags, data = registers(rng), rng.getrandbits(12) & STATUS, rng.randbytes(0x1000)
            states = []
            for bench in benches:
                bench.write(DATA, data)
                result = bench.run(b"".join(texts), flags=flags, **given)
                states.append(state(bench, result))
            assert states[0] == states[1], (one.symbol, b"".join(texts).hex(), given)
            if result.exception is not None:
                faults.add(result.rip - CODE)
            else:
                assert handler(benches[0]) == address_of(benches[0], one), one.symbol
    assert faults or not any(part.function.leaves for one in several for part in one.parts)


def address_of(bench: Bench, one: Superinsn) -> int:
    """Where the native handler of a superinstruction is."""
    assert bench.complex.image is not None
    return bench.complex.image.address(one.symbol)


def test_parts_neither_branch_nor_write_memory() -> None:
    """But for the last: what it writes could be the text of the next."""
    for one in superinsns():
        for part in one.parts[:-1]:
            assert flow_of(part.function, part.rules.control).name == "NEXT"
            assert not part.rules.writes and not part.rules.control, one.symbol
            assert part.mnemonic not in ("PUSH", "STOS", "MOVS", "INS"), one.symbol


def test_store_of_a_sequence_into_the_next_instruction_is_seen(
    benches: tuple[Bench, Bench],
) -> None:
    """A load and the store behind it are one superinstruction; the byte is that of an immediate."""
    text = assemble(
        """
        start: mov $5, %ecx
        again: movzbl (%rsi), %eax
            mov %al, next+1(%rip)
        next: mov $1, %dl
            add %edx, %ebx
            incb (%rsi)
            dec %ecx
            jnz again
        """,
        CODE,
    ).text
    for bench in benches:
        bench.write(DATA, b"\x10")
        result = bench.run(text, rsi=DATA)
        assert result.exit != Exit.BUDGET and result.rbx == sum(range(0x10, 0x15))


def test_stepping_executes_the_parts(benches: tuple[Bench, Bench]) -> None:
    """One instruction at a time."""
    native = benches[0]
    text = assemble("start: add $1, %rax\ncmp %rbx, %rax\njnz start", CODE).text
    native.run(text, rax=1, rbx=2)
    native.raw.rip, native.raw.halted = CODE, 0
    where = []
    for _ in range(3):
        native.processor.step()
        where.append(native.raw.rip - CODE)
    assert where == [4, 7, 0]
    assert native.processor.rflags & STATUS & ~PF == 0
