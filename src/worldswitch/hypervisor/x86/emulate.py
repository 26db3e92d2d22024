"""Instructions that the hypervisor executes for a guest, because they touch no storage.

An execution is a generator: it yields requests to the machine, is sent the answers (None: nobody
answered), and returns the outcome. Registers change when all accesses have been made, but for
string instructions, which can go on from any element.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING

from worldswitch.arch.x86.registers import Rflags
from worldswitch.arch.x86.segments import SegAttr, SegmentNumber
from worldswitch.hypervisor.outcome import ADVANCE, RESUME, Outcome
from worldswitch.hypervisor.requests import MmioRead, MmioWrite, X86Request
from worldswitch.hypervisor.x86 import alu
from worldswitch.hypervisor.x86.decode import Instruction
from worldswitch.hypervisor.x86.linear import linear_address, pieces
from worldswitch.hypervisor.x86.state import CpuMode, Gr

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.vcpu import X86Vcpu

Emulation = Generator[X86Request, int | None, Outcome]
Access = Generator[X86Request, int | None, int]
MOST_ELEMENTS = 1024
"""Elements of a string that are moved before the guest's interrupts get their turn."""
DF = int(Rflags.DF)
SIZES = (8, 4, 2, 1)
MASKS = {size: (1 << 8 * size) - 1 for size in (1, 2, 4, 8)}


def read_register(cpu: "X86Vcpu", number: int, size: int, high: bool = False) -> int:
    """A general register's lowest bytes, or AH, CH, DH or BH."""
    value = cpu.gr[number]
    return value >> 8 & 0xFF if high else value & MASKS[size]


def write_register(cpu: "X86Vcpu", number: int, size: int, value: int, high: bool = False) -> None:
    """Write one: 4 bytes clear the upper half, 1 and 2 leave the rest. ref: APM3 1.1."""
    if size < 4:
        old = cpu.gr[number]
        if high:
            value = old & ~0xFF00 | (value & 0xFF) << 8
        else:
            value = old & ~MASKS[size] | value & MASKS[size]
    elif size == 4:
        value &= 0xFFFF_FFFF
    cpu.gr[number] = value


def extended(value: int, source: int, size: int) -> int:
    """A value of `source` bytes with its sign extended to `size` bytes."""
    if value >> (8 * source - 1):
        value -= 1 << 8 * source
    return value & MASKS[size]


def effective_offset(cpu: "X86Vcpu", insn: Instruction) -> int:
    """The memory operand's offset in its segment. ref: APM2 1.2.3."""
    offset = insn.displacement
    if insn.base >= 0:
        offset += cpu.gr[insn.base]
    if insn.index >= 0:
        offset += cpu.gr[insn.index] * insn.scale
    if insn.rip_relative:
        offset += cpu.rip + insn.length
    return offset & MASKS[insn.address_size]


def _chunks(address: int, size: int) -> list[tuple[int, int]]:
    """Sizes that a bus has, 8, 4, 2 and 1 bytes, that make up a range."""
    found: list[tuple[int, int]] = []
    while size:
        part = next(n for n in SIZES if n <= size)
        found.append((address, part))
        address += part
        size -= part
    return found


def _load_physical(cpu: "X86Vcpu", address: int, size: int) -> Access:
    """Bytes at guest physical addresses that are all storage, or all not."""
    if cpu.memory.has(address, size):
        return int.from_bytes(cpu.memory.read(address, size), "little")
    value = shift = 0
    for where, part in _chunks(address, size):
        if cpu.lapic.at(where):
            answer = cpu.lapic.mmio_read(where, part)
        else:
            given = yield MmioRead(where, part)
            answer = MASKS[part] if given is None else given & MASKS[part]
        value |= answer << shift
        shift += 8 * part
    return value


def _store_physical(cpu: "X86Vcpu", address: int, size: int, value: int) -> Access:
    slot = cpu.memory.slot(address)
    if slot is not None and slot.writable and address + size <= slot.end:
        cpu.memory.write(address, value.to_bytes(size, "little"))
        return 0
    for where, part in _chunks(address, size):
        if cpu.lapic.at(where):
            cpu.lapic.mmio_write(where, part, value & MASKS[part])
        else:
            yield MmioWrite(where, part, value & MASKS[part])
        value >>= 8 * part
    return 0


def load(cpu: "X86Vcpu", places: list[tuple[int, int]]) -> Access:
    """The bytes at `places`, as `linear.pieces` gives them."""
    value = shift = 0
    for address, size in places:
        value |= (yield from _load_physical(cpu, address, size)) << shift
        shift += 8 * size
    return value


def store(cpu: "X86Vcpu", places: list[tuple[int, int]], value: int) -> Access:
    """Store a value there."""
    for address, size in places:
        yield from _store_physical(cpu, address, size, value & (1 << 8 * size) - 1)
        value >>= 8 * size
    return 0


def _places(
    cpu: "X86Vcpu", segment: int, offset: int, size: int, write: bool
) -> list[tuple[int, int]]:
    return pieces(cpu, linear_address(cpu, segment, offset, size, write), size, write)


def execute(cpu: "X86Vcpu", insn: Instruction) -> Emulation:
    """Execute a decoded instruction at the guest's RIP; raises GuestException if it faults."""
    name = insn.form.name
    if insn.form.operands == "string":
        return (yield from _string(cpu, insn))
    if name == "push":
        yield from _push(cpu, insn)
    elif name == "pop":
        yield from _pop(cpu, insn)
    elif name in _SPECIAL:
        yield from _exchange(cpu, insn)
    elif insn.form.operands in ("R<M", "A<O"):
        yield from _to_register(cpu, insn)
    else:
        yield from _to_memory(cpu, insn)
    return ADVANCE[insn.length]


def _to_register(cpu: "X86Vcpu", insn: Instruction) -> Access:
    offset = effective_offset(cpu, insn)
    places = _places(cpu, insn.segment, offset, insn.memory_size, False)
    value = yield from load(cpu, places)
    if insn.form.signed:
        value = extended(value, insn.memory_size, insn.size)
    first = read_register(cpu, insn.register, insn.size, insn.byte_high)
    name = insn.form.name
    result, flags = alu.OPERATIONS[name](first, value, cpu.rflags, insn.size)
    if name not in alu.WITHOUT_RESULT:
        write_register(cpu, insn.register, insn.size, result, insn.byte_high)
    if name not in alu.WITHOUT_FIRST:
        cpu.rflags = flags
    return 0


def _second_operand(cpu: "X86Vcpu", insn: Instruction) -> int:
    if insn.form.operands == "M<I":
        return insn.immediate & MASKS[insn.size]
    return read_register(cpu, insn.register, insn.size, insn.byte_high)


def _to_memory(cpu: "X86Vcpu", insn: Instruction) -> Access:
    name = insn.form.name
    offset = effective_offset(cpu, insn)
    second = _second_operand(cpu, insn)
    if name in ("bt", "bts", "btr", "btc") and insn.form.operands == "M<R":
        # A bit offset in a register is signed and reaches beyond the operand.
        distance = extended(second, insn.size, 8)
        distance -= (distance >> 63) << 64
        offset += (distance >> (8 * insn.size).bit_length() - 1) * insn.size
        offset &= MASKS[insn.address_size]
    writes = name not in alu.WITHOUT_RESULT
    places = _places(cpu, insn.segment, offset, insn.size, writes)
    first = 0
    if name not in alu.WITHOUT_FIRST:
        first = yield from load(cpu, places)
    result, flags = alu.OPERATIONS[name](first, second, cpu.rflags, insn.size)
    if writes:
        yield from store(cpu, places, result)
    if name not in alu.WITHOUT_FIRST:
        cpu.rflags = flags
    return 0


_SPECIAL = frozenset({"xchg", "xadd", "cmpxchg"})


def _exchange(cpu: "X86Vcpu", insn: Instruction) -> Access:
    """XCHG, XADD and CMPXCHG, whose register changes too."""
    size, register, high = insn.size, insn.register, insn.byte_high
    places = _places(cpu, insn.segment, effective_offset(cpu, insn), size, True)
    old = yield from load(cpu, places)
    other = read_register(cpu, register, size, high)
    match insn.form.name:
        case "xchg":
            yield from store(cpu, places, other)
            write_register(cpu, register, size, old, high)
        case "xadd":
            result, flags = alu.add(old, other, cpu.rflags, size)
            yield from store(cpu, places, result)
            write_register(cpu, register, size, old, high)
            cpu.rflags = flags
        case _:
            accumulator = read_register(cpu, Gr.RAX, size)
            _, flags = alu.sub(accumulator, old, cpu.rflags, size)
            equal = accumulator == old
            yield from store(cpu, places, other if equal else old)
            if not equal:
                write_register(cpu, Gr.RAX, size, old)
            cpu.rflags = flags
    return 0


def _stack_size(cpu: "X86Vcpu") -> int:
    if cpu.mode() is CpuMode.LONG:
        return 8
    return 4 if cpu.segment(SegmentNumber.SS).attributes & SegAttr.DB else 2


def _push(cpu: "X86Vcpu", insn: Instruction) -> Access:
    width = _stack_size(cpu)
    top = (cpu.gr[Gr.RSP] - insn.size) & MASKS[width]
    offset = effective_offset(cpu, insn)
    source = _places(cpu, insn.segment, offset, insn.size, False)
    target = _places(cpu, SegmentNumber.SS, top, insn.size, True)
    value = yield from load(cpu, source)
    yield from store(cpu, target, value)
    write_register(cpu, Gr.RSP, width, top)
    return 0


def _pop(cpu: "X86Vcpu", insn: Instruction) -> Access:
    width = _stack_size(cpu)
    top = cpu.gr[Gr.RSP] & MASKS[width]
    source = _places(cpu, SegmentNumber.SS, top, insn.size, False)
    offset = effective_offset(cpu, insn)
    if insn.base == Gr.RSP:
        offset = (offset + insn.size) & MASKS[insn.address_size]
    target = _places(cpu, insn.segment, offset, insn.size, True)
    value = yield from load(cpu, source)
    yield from store(cpu, target, value)
    write_register(cpu, Gr.RSP, width, (top + insn.size) & MASKS[width])
    return 0


def step(cpu: "X86Vcpu", register: int, distance: int, width: int) -> None:
    """Move a string's index register, `width` bytes of which count."""
    write_register(cpu, register, width, (cpu.gr[register] + distance) & MASKS[width])


def _string(cpu: "X86Vcpu", insn: Instruction) -> Emulation:
    width = insn.address_size
    for _ in range(MOST_ELEMENTS):
        if insn.repeat and not cpu.gr[Gr.RCX] & MASKS[width]:
            return ADVANCE[insn.length]
        again = yield from _element(cpu, insn)
        if not insn.repeat:
            return ADVANCE[insn.length]
        step(cpu, Gr.RCX, -1, width)
        if not again:
            return ADVANCE[insn.length]
    return RESUME


def _element(cpu: "X86Vcpu", insn: Instruction) -> Access:
    """One element; whether a repeated comparison goes on."""
    name, size, width = insn.form.name, insn.size, insn.address_size
    distance = -size if cpu.rflags & DF else size
    source: list[tuple[int, int]] = []
    target: list[tuple[int, int]] = []
    if name in ("movs", "cmps", "lods"):
        offset = cpu.gr[Gr.RSI] & MASKS[width]
        source = _places(cpu, insn.segment, offset, size, False)
    if name in ("movs", "cmps", "stos", "scas"):
        offset = cpu.gr[Gr.RDI] & MASKS[width]
        writes = name in ("movs", "stos")
        target = _places(cpu, SegmentNumber.ES, offset, size, writes)
    value = read_register(cpu, Gr.RAX, size)
    if source:
        value = yield from load(cpu, source)
    again = 1
    if name in ("cmps", "scas"):
        other = yield from load(cpu, target)
        _, cpu.rflags = alu.sub(value, other, cpu.rflags, size)
        again = int((value == other) == (insn.repeat != 0xF2))
    elif name == "lods":
        write_register(cpu, Gr.RAX, size, value)
    else:
        yield from store(cpu, target, value)
    if source:
        step(cpu, Gr.RSI, distance, width)
    if target:
        step(cpu, Gr.RDI, distance, width)
    return again
