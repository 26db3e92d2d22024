"""A bare s390x processor for tests of single instructions, as plain Python and compiled."""

import ctypes
from dataclasses import replace
from typing import Any

import worldswitch.metal.s390x.insns
from worldswitch.arch.s390x.models import cpu_model
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import Leave
from worldswitch.metal.s390x.codecache import InsnInfo
from worldswitch.metal.s390x.decode import RECORD_CONTROL
from worldswitch.metal.s390x.formats import FORMATS, SECOND_OPCODE, Kind
from worldswitch.metal.s390x.insn import TABLE, Insn
from worldswitch.metal.s390x.leave import LEAVE_EXIT, LEAVE_PROGRAM, Exit
from worldswitch.metal.s390x.operands import operands_of
from worldswitch.metal.s390x.processor import Complex
from worldswitch.metal.s390x.psw import PSW_PROBLEM, PSW_WAIT
from worldswitch.metal.s390x.state import JUMP_CACHE_SIZE, Record
from worldswitch.metal.s390x.storage import Storage

assert worldswitch.metal.s390x.insns.__name__, "imported for the table that it fills"
PSW_64 = 0x0000_0001_8000_0000
"""64-bit addressing, supervisor state, DAT off, all interruptions masked."""
RAM = 4 << 20
STOP = "83000FFF"
"""DIAGNOSE 0xFFF: the exit that stands behind the instruction under test."""


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
    """One or more processors with a few megabytes of storage, all facilities installed.

    engine: "python" calls the instruction's function; "native" runs its compiled handler.
    """

    def __init__(self, cpus: int = 1, ram: int = RAM, engine: str = "python") -> None:
        self.engine = engine
        self.storage = Storage(ram)
        model = replace(cpu_model("z14"), facilities=frozenset(range(256)))
        self.complex = Complex(self.storage, model, cpus, engine)
        self.cpus = [p.state for p in self.complex.processors]
        self.processor = self.complex.processors[0]
        for processor in self.complex.processors:
            processor.raw.running = 1
            processor.psw = (PSW_64, 0x1000)
        self.cpu = self.cpus[0]
        self.raw = self.processor.raw
        self._records = ctypes.create_string_buffer(2 * Record.size)

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into absolute storage."""
        self.storage.write(address, data)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of absolute storage."""
        return self.storage.read(address, size)

    def put(self, address: int, value: int, size: int = 8) -> None:
        """Put a big-endian number into absolute storage."""
        self.write(address, value.to_bytes(size, "big"))

    def get(self, address: int, size: int = 8) -> int:
        """A big-endian number from absolute storage."""
        return int.from_bytes(self.read(address, size), "big")

    def key(self, address: int) -> int:
        """Storage key of a frame."""
        return self.storage.get_key(address)

    def set_key(self, address: int, key: int) -> None:
        """Set a storage key behind the processor's back: before the first access."""
        self.storage.set_key(address, key)

    def controls(self, **registers: int) -> None:
        """Set control registers by name (cr0=..., cr1=...)."""
        for name, value in registers.items():
            self.raw.cr[int(name[2:])] = value
        self.processor.call("controls_changed")

    def psw(self, mask: int, addr: int = 0x1000) -> None:
        """Load a PSW."""
        self.processor.psw = (mask, addr)

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
        if self.engine == "native":
            return self._execute_compiled(text.replace(" ", ""))
        return self._execute_python(text.replace(" ", ""))

    def _execute_compiled(self, digits: str) -> ProgramCode | Exit | int | None:
        """Run the handler on a record, with a DIAGNOSE behind it that marks its end.

        The jump cache leads to the records, so that nothing is fetched. A program interruption
        is taken and then taken back.
        """
        raw = self.raw
        pc = raw.psw_addr
        item = self._place(0, digits, pc)
        if item.privileged and raw.psw_mask & PSW_PROBLEM:
            return ProgramCode.PRIVILEGED_OPERATION
        self._place(1, STOP, (pc + len(digits) // 2) & raw.address_mask)
        jump = raw.jumps[(pc >> 1) & (JUMP_CACHE_SIZE - 1)]
        jump.pc, jump.tag, jump.record = pc, raw.tag, ctypes.addressof(self._records)
        low = self.read(raw.prefix, 0x200)
        self.put(raw.prefix + 0x1D0, PSW_64 | PSW_WAIT)
        raw.check, raw.leave = 0, 0
        reason = self.processor.run(1 if item.control else 100)
        if reason == Exit.WAIT and raw.leave == LEAVE_PROGRAM:
            code = self.get(raw.prefix + 0x8E, 2)
            mask, address = self.get(raw.prefix + 0x150), self.get(raw.prefix + 0x158)
            raw.op_access_id = self.get(raw.prefix + 0xA2, 1)
            self.write(raw.prefix, low)
            self.psw(mask, address)
            return ProgramCode(code)
        self.write(raw.prefix + 0x1D0, low[0x1D0:0x1D8])
        if reason == Exit.DIAGNOSE and raw.exit_args[0] == 0xFFF:
            raw.psw_addr -= len(STOP) // 2
            return None
        return None if reason in (Exit.BUDGET, Exit.WAIT) else reason

    def _place(self, slot: int, digits: str, pc: int) -> Insn:
        """Decode a text into one of the two records that run compiled."""
        item, record = self.decode(int(digits.ljust(16, "0"), 16), pc)
        raw = Record.raw_at(record.address)
        raw.insn = raw.spare = item.index
        raw.flags = RECORD_CONTROL if item.control else 0
        infos = ctypes.addressof(self.complex.table.infos)
        raw.handler = InsnInfo.raw_at(infos + InsnInfo.size * item.index).handler
        raw.count = slot + 1
        where = ctypes.addressof(self._records) + slot * Record.size
        ctypes.memmove(where, record.address, Record.size)
        return item

    def _execute_python(self, digits: str) -> ProgramCode | Exit | int | None:
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
