"""A bare s390x processor for tests of single instructions, run as plain Python."""

import ctypes
import importlib
import pkgutil
from typing import Any

import worldswitch.metal.s390x.insns as insns
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import Leave
from worldswitch.metal.s390x.formats import FORMATS, SECOND_OPCODE, Kind
from worldswitch.metal.s390x.insn import TABLE, Insn
from worldswitch.metal.s390x.leave import LEAVE_EXIT, LEAVE_PROGRAM, Exit
from worldswitch.metal.s390x.mode import controls_changed, purge_all
from worldswitch.metal.s390x.operands import operands_of
from worldswitch.metal.s390x.psw import PSW_PROBLEM, load_psw
from worldswitch.metal.s390x.state import Cpu, Record

for _module in pkgutil.iter_modules(insns.__path__):
    importlib.import_module(f"{insns.__name__}.{_module.name}")

PSW_64 = 0x0000_0001_8000_0000
"""64-bit addressing, supervisor state, DAT off, all interruptions masked."""
RAM = 4 << 20


def find(text: int) -> Insn | None:
    """The instruction of a left-aligned 64-bit text."""
    for item in TABLE.values():
        position, width = SECOND_OPCODE[item.format]
        opcode = f"{text >> 56:02X}"
        if width:
            opcode += f"{text >> (64 - position - width) & (1 << width) - 1:0{width // 4}X}"
        if opcode == item.opcode:
            return item
    return None


def length_of(text: int) -> int:
    """Bytes of the instruction with this left-aligned text."""
    return (2, 4, 4, 6)[text >> 62]


class Bench:
    """One or more processors with a few megabytes of storage, all facilities installed."""

    def __init__(self, cpus: int = 1, ram: int = RAM) -> None:
        frames = ram // 4096
        self._ram = ctypes.create_string_buffer(ram)
        self._keys = ctypes.create_string_buffer(frames)
        self._code_map = ctypes.create_string_buffer(frames * 8)
        self._states = [ctypes.create_string_buffer(Cpu.size) for _ in range(cpus)]
        addresses = [ctypes.addressof(s) for s in self._states]
        self._pointers = (ctypes.c_uint64 * cpus)(*addresses)
        self.cpus = [Cpu.at(a) for a in addresses]
        for number, cpu in enumerate(self.cpus):
            raw = Cpu.raw_at(cpu.address)
            raw.ram, raw.ram_size = ctypes.addressof(self._ram), ram
            raw.keys = ctypes.addressof(self._keys)
            raw.code_map = ctypes.addressof(self._code_map)
            raw.machine_cpus, raw.cpu_count = ctypes.addressof(self._pointers), cpus
            raw.cpu_address = number
            raw.cr[0], raw.cr[14] = 0xE0, 0xC200_0000
            raw.clock_comparator = 2**64 - 1
            raw.timer_deadline = 2**63 - 1
            raw.running = 1
            for word in range(4):
                raw.facilities[word] = 2**64 - 1
            controls_changed(cpu)
            purge_all(cpu)
            load_psw(cpu, PSW_64, 0x1000)
        self.cpu = self.cpus[0]
        self.raw = Cpu.raw_at(self.cpu.address)

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into absolute storage."""
        ctypes.memmove(ctypes.addressof(self._ram) + address, data, len(data))

    def read(self, address: int, size: int) -> bytes:
        """Bytes of absolute storage."""
        return ctypes.string_at(ctypes.addressof(self._ram) + address, size)

    def put(self, address: int, value: int, size: int = 8) -> None:
        """Put a big-endian number into absolute storage."""
        self.write(address, value.to_bytes(size, "big"))

    def get(self, address: int, size: int = 8) -> int:
        """A big-endian number from absolute storage."""
        return int.from_bytes(self.read(address, size), "big")

    def key(self, address: int) -> int:
        """Storage key of a frame."""
        return self._keys[address >> 12][0]

    def set_key(self, address: int, key: int) -> None:
        """Set a storage key behind the processor's back: before the first access."""
        self._keys[address >> 12] = key

    def controls(self, **registers: int) -> None:
        """Set control registers by name (cr0=..., cr1=...)."""
        for name, value in registers.items():
            self.raw.cr[int(name[2:])] = value
        controls_changed(self.cpu)

    def psw(self, mask: int, addr: int = 0x1000) -> None:
        """Load a PSW."""
        load_psw(self.cpu, mask, addr)

    def decode(self, text: int, pc: int) -> tuple[Insn, Record]:
        """Decode a left-aligned text into the processor's scratch record."""
        item = find(text)
        assert item is not None, f"no instruction {text:016x}"
        record = self.cpu.executed[0]
        raw = Record.raw_at(record.address)
        ctypes.memset(record.address, 0, Record.size)
        raw.pc, raw.text, raw.ilen, raw.count = pc, text, length_of(text), 1
        for operand in FORMATS[item.format]:
            value = text >> (64 - operand.position - operand.width) & (1 << operand.width) - 1
            if operand.kind is Kind.BASE and value == 0:
                value = 16
            elif operand.kind is Kind.LONG_DISPLACEMENT:
                high = text >> (64 - operand.position - operand.width - 8) & 0xFF
                value |= (high << 12) - (1 << 20 if high & 0x80 else 0)
            elif operand.kind in (Kind.SIGNED, Kind.RELATIVE):
                value -= (value >> (operand.width - 1)) << operand.width
                if operand.kind is Kind.RELATIVE:
                    value = pc + 2 * value
            setattr(raw, operand.field, value)
        return item, record

    def execute(self, text: str) -> ProgramCode | Exit | int | None:
        """Execute one instruction at the PSW: a program code, an exit, another leave, or None.

        The PSW advances, but interruptions are not taken. Text: hexadecimal digits.
        """
        digits = text.replace(" ", "")
        item, record = self.decode(int(digits.ljust(16, "0"), 16), int(self.cpu.psw_addr))
        raw = self.raw
        raw.leave = raw.exit_reason = 0
        if item.privileged and raw.psw_mask & PSW_PROBLEM:
            return ProgramCode.PRIVILEGED_OPERATION
        following = (raw.psw_addr + len(digits) // 2) & raw.address_mask
        if item.control:
            raw.psw_addr = following
        operands = operands_of(item.format)
        names = list(item.function.parameters)[1:]
        arguments: list[Any] = [operands[name](self.cpu, record) for name in names]
        try:
            item.function(self.cpu, *arguments)
        except Leave:
            if raw.leave == LEAVE_PROGRAM:
                return ProgramCode(raw.fault_code)
            if raw.leave != LEAVE_EXIT:
                return int(raw.leave)
        if not item.control:
            raw.psw_addr = following
        return Exit(raw.exit_reason) if raw.leave == LEAVE_EXIT else None
