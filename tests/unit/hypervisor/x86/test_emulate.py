"""Instructions that the hypervisor executes, compared with an independent emulator."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from unicorn import UC_ARCH_X86, UC_MODE_16, UC_MODE_32, UC_MODE_64, Uc
from unicorn import x86_const as uc

from tests.unit.hypervisor.svm.fake_host import Guest
from worldswitch.arch.x86.registers import RFLAGS_STATUS, Rflags
from worldswitch.hypervisor.outcome import Resume
from worldswitch.hypervisor.x86.decode import UndecodableError, decode
from worldswitch.hypervisor.x86.emulate import execute
from worldswitch.hypervisor.x86.state import SegmentState

MEMORY = 0x20_0000
CODE, DATA, STACK = 0x1000, 0x8000, 0xC000
SPAN = 0x8000
"""Bytes from DATA on that instructions may touch."""
ROUNDS = 6
GENERAL = [
    uc.UC_X86_REG_RAX, uc.UC_X86_REG_RCX, uc.UC_X86_REG_RDX, uc.UC_X86_REG_RBX,
    uc.UC_X86_REG_RSP, uc.UC_X86_REG_RBP, uc.UC_X86_REG_RSI, uc.UC_X86_REG_RDI,
    uc.UC_X86_REG_R8, uc.UC_X86_REG_R9, uc.UC_X86_REG_R10, uc.UC_X86_REG_R11,
    uc.UC_X86_REG_R12, uc.UC_X86_REG_R13, uc.UC_X86_REG_R14, uc.UC_X86_REG_R15,
]  # fmt: skip
UNDEFINED = {"and": Rflags.AF, "or": Rflags.AF, "xor": Rflags.AF, "test": Rflags.AF,
             "bt": Rflags.OF | Rflags.SF | Rflags.AF | Rflags.PF,
             "bts": Rflags.OF | Rflags.SF | Rflags.AF | Rflags.PF,
             "btr": Rflags.OF | Rflags.SF | Rflags.AF | Rflags.PF,
             "btc": Rflags.OF | Rflags.SF | Rflags.AF | Rflags.PF}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """A size of code: 16, 32 or 64 bits."""

    bits: int
    uc_mode: int
    attributes: int
    cr0: int
    efer: int

    @property
    def long_mode(self) -> bool:
        """Whether it is 64-bit mode."""
        return self.bits == 64


SIZES = (
    Size(16, UC_MODE_16, 0x9B, 0x10, 0),
    Size(32, UC_MODE_32, 0xC9B, 0x11, 0),
    Size(64, UC_MODE_64, 0xA9B, 0x11, 0x500),
)
BY_NAME = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.bits}")


def texts(size: Size) -> Iterator[str]:
    """Encodings with a memory operand at [rBX] plus a displacement, rDI in 16-bit code alone."""
    mem = "47" if size.bits == 16 else "43"  # [bx+disp8] and [rbx+disp8]; the register is rAX
    opcodes = ["63"] if size.long_mode else []
    opcodes += ["84", "85", "86", "87", "88", "89", "8a", "8b"]
    opcodes += [f"{8 * n + k:02x}" for n in range(8) for k in range(4)]
    opcodes += ["0fa3", "0fab", "0fb0", "0fb1", "0fb3", "0fb6", "0fb7", "0fbb", "0fbe", "0fbf",
                "0fc0", "0fc1", "0fc3"]  # fmt: skip
    word = "aabb" if size.bits == 16 else "aabbccdd"
    groups = [(f"80{g}", "7f") for g in range(8)] + [(f"81{g}", word) for g in range(8)]
    groups += [(f"83{g}", "85") for g in range(8)]
    groups += [("c60", "5a"), ("c70", word), ("f60", "81"), ("f70", word), ("f62", ""), ("f72", "")]
    groups += [("f63", ""), ("f73", ""), ("fe0", ""), ("fe1", ""), ("ff0", ""), ("ff1", "")]
    groups += [("0fba4", "27"), ("0fba5", "27"), ("0fba6", "27"), ("0fba7", "27")]
    for opcode in opcodes:
        for register in (0, 1, 4, 7):
            modrm = int(mem, 16) | register << 3
            if opcode == "0fc3" and size.bits == 16:
                continue
            yield f"{opcode}{modrm:02x}10"
    for group, immediate in groups:
        opcode, number = group[:-1], int(group[-1])
        modrm = int(mem, 16) | number << 3
        yield f"{opcode}{modrm:02x}10{immediate}"
    if size.long_mode:
        yield from ("48897310", "4c8b4b10", "488b4310", "44886b10", "40887310", "48634310")
        yield from ("48c74310ddccbbaa", "48014310", "480fb64310", "480fbf4310")
        yield from ("48094b10", "480fa34b10", "490fc14010", "66895310")
        yield from ("8944cb08", "894500", "890424", "4289441310", "67894310", "890510000000")
    elif size.bits == 32:
        yield from ("66894310", "66c743105a5a", "8944cb08", "894500", "890424", "67894710")
        yield from ("890500800000", "a100800000", "a300800000", "a000800000", "a200800000")
        yield from ("66a100800000", "66a300800000", "26894310", "ff7310", "8f4310", "66ff7310")
    else:
        yield from ("66894710", "8901", "8902", "890e0080", "894410")
        yield from ("a10080", "a30080", "a00080", "a20080", "ff7710", "8f4710", "67894310")
    for prefix in ("", "f3"):
        yield from (f"{prefix}a4", f"{prefix}a5", f"{prefix}aa", f"{prefix}ab", f"{prefix}ac")
        yield from (f"{prefix}a6", f"{prefix}a7", f"{prefix}ae", f"{prefix}af", f"{prefix}66a5")
    yield from ("f2ae", "f2a7", "f2af")
    if size.long_mode:
        yield from (
            "48a5",
            "f348ab",
            "48af",
            "ff7310",
            "8f4310",
            "66ff7310",
            "ff742408",
            "8f442408",
        )


def start(rng: random.Random, size: Size) -> list[int]:
    """Registers whose addresses stay within the data."""
    mask = (1 << size.bits) - 1 if size.bits > 16 else 0xFFFF_FFFF
    gr = [rng.getrandbits(64) & mask if size.long_mode else rng.getrandbits(32) for _ in range(16)]
    for number, address in ((3, DATA + 0x1000), (4, STACK), (5, DATA + 0x2000), (6, DATA + 0x3000),
                            (7, DATA + 0x3800), (8, DATA + 0x1800), (10, 0x40)):  # fmt: skip
        gr[number] = address + rng.randrange(0, 64)
    gr[1] = rng.choice((0, 1, 5, 30))
    if size.bits == 16:
        gr = [value & 0xFFFF if n in (3, 4, 5, 6, 7) else value for n, value in enumerate(gr)]
    return gr


Outcome = tuple[list[int], int, int, bytes]


class Here:
    """The hypervisor's execution."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.guest = Guest(memory=MEMORY)
        cpu = self.guest.cpu
        cpu.cr0, cpu.efer = size.cr0, size.efer
        limit = 0xFFFF if size.bits == 16 else 0xFFFF_FFFF
        kind = 0x93 if size.bits == 16 else 0xC93
        for name in ("ds", "es", "ss", "fs", "gs"):
            cpu.set_descriptor(name, SegmentState(0, 0, limit, kind))
        cpu.set_descriptor("cs", SegmentState(8, 0, limit, size.attributes))

    def run(self, text: bytes, gr: list[int], flags: int, data: bytes) -> Outcome:
        """Registers, flags, length and storage after an instruction."""
        cpu, size, memory = self.guest.cpu, self.size, self.guest.vm.memory
        for number, value in enumerate(gr):
            cpu.gr[number] = value
        cpu.rip, cpu.rflags = CODE, flags
        memory.write(DATA, data)
        memory.write(CODE, text)
        insn = decode(text, size.long_mode, 2 if size.bits == 16 else 4)
        try:
            request = next(execute(cpu, insn))
        except StopIteration as stop:
            assert isinstance(stop.value, Resume)
            length = stop.value.advance
        else:
            raise AssertionError(f"storage was taken for a device: {request}")
        mask, count = ((1 << 64) - 1, 16) if size.long_mode else ((1 << 32) - 1, 8)
        registers = [cpu.gr[n] & mask for n in range(count)]
        return registers, cpu.rflags, length, memory.read(DATA, SPAN)


class There:
    """The other emulator's."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.machine = Uc(UC_ARCH_X86, size.uc_mode)
        self.machine.mem_map(0, 0x10_0000)
        self.names = GENERAL if size.long_mode else GENERAL_32

    def run(self, text: bytes, gr: list[int], flags: int, data: bytes) -> Outcome:
        """Registers, flags, length and storage after an instruction."""
        machine = self.machine
        machine.mem_write(CODE, text)
        machine.ctl_remove_cache(CODE, CODE + 16)
        machine.mem_write(DATA, data)
        for name, value in zip(self.names, gr, strict=False):
            machine.reg_write(name, value)
        machine.reg_write(uc.UC_X86_REG_EFLAGS, flags)
        repeated = text[0] in (0xF2, 0xF3)
        machine.emu_start(CODE, CODE + len(text), count=64 if repeated else 1)
        ip = machine.reg_read(uc.UC_X86_REG_RIP if self.size.long_mode else uc.UC_X86_REG_EIP)
        registers = [machine.reg_read(name) for name in self.names]
        found = machine.reg_read(uc.UC_X86_REG_EFLAGS)
        return registers, found, ip - CODE, bytes(machine.mem_read(DATA, SPAN))


GENERAL_32 = [
    uc.UC_X86_REG_EAX, uc.UC_X86_REG_ECX, uc.UC_X86_REG_EDX, uc.UC_X86_REG_EBX,
    uc.UC_X86_REG_ESP, uc.UC_X86_REG_EBP, uc.UC_X86_REG_ESI, uc.UC_X86_REG_EDI,
]  # fmt: skip


@BY_NAME
def test_instructions_do_what_an_independent_emulator_does(size: Size) -> None:
    rng = random.Random(size.bits)
    emulators = Here(size), There(size)
    for hexadecimal in dict.fromkeys(texts(size)):
        text = bytes.fromhex(hexadecimal)
        name = decode(text, size.long_mode, 2 if size.bits == 16 else 4).form.name
        for _ in range(ROUNDS):
            gr = start(rng, size)
            if name.startswith("bt") and text[0] == 0x0F:
                gr[0] = gr[0] & ~0xFFFF_FFFF | rng.randrange(0, 0x400)
            flags = 2 | rng.getrandbits(12) & int(RFLAGS_STATUS | Rflags.DF)
            data = rng.randbytes(SPAN)
            if hexadecimal.endswith(("a6", "a7", "ae", "af")) and rng.random() < 0.7:
                data = bytes(SPAN)
                gr[0] = 0
            here, there = (each.run(text, gr, flags, data) for each in emulators)
            defined = int(RFLAGS_STATUS & ~UNDEFINED.get(name, Rflags(0)))
            assert here[0] == there[0], f"{hexadecimal}: registers"
            assert here[1] & defined == there[1] & defined, f"{hexadecimal}: flags"
            assert here[2] == there[2], f"{hexadecimal}: length"
            assert here[3] == there[3], f"{hexadecimal}: storage"


@pytest.mark.parametrize(
    "text",
    ["", "8b", "89c8", "0f0b", "0fba4310", "0f", "c64b1000", "8f4b10", "ff5310", "6666666666666666"
     "666666666666668903", "dd03", "f00fc70b", "488b"],
)  # fmt: skip
def test_what_is_not_known_is_not_decoded(text: str) -> None:
    with pytest.raises(UndecodableError):
        decode(bytes.fromhex(text), True, 4)


def test_arpl_is_not_taken_for_movsxd() -> None:
    with pytest.raises(UndecodableError):
        decode(bytes.fromhex("6303"), False, 4)


def test_segment_prefixes_of_long_mode_are_those_of_fs_and_gs() -> None:
    for text, segment in (("648b03", 4), ("658b03", 5), ("3e8b03", 3), ("268b4500", 2)):
        assert decode(bytes.fromhex(text), True, 4).segment == segment
    assert decode(bytes.fromhex("268b4500"), False, 4).segment == 0


def test_any_bytes_are_decoded_or_refused() -> None:
    rng = random.Random(4)
    for _ in range(20_000):
        text = rng.randbytes(rng.randrange(0, 16))
        try:
            insn = decode(text, rng.random() < 0.5, rng.choice((2, 4)))
        except UndecodableError:
            continue
        assert 0 < insn.length <= len(text)
