"""The processor as Python sees it: a facade over the native state."""

import ctypes
import mmap
from typing import Any

from worldswitch.arch.s390x.models import CpuModel
from worldswitch.engine.build import Progress
from worldswitch.metal.blocks import AddressPointer
from worldswitch.metal.interpret import Interpreter
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.sie.known import Known
from worldswitch.metal.s390x.state import Cpu, Record
from worldswitch.metal.s390x.storage import Storage
from worldswitch.metal.s390x.table import CALLABLE, HOOKS, RUN, NativeTable, build_native

TOD_PER_INSTRUCTION = 4
"""TOD-clock units (2**-12 microseconds) that an instruction takes in virtual time."""
AFP_RESET_CR0 = 0xE0
CR14_RESET = 0xC2000000
CR0_CLOCK_COMPARATOR = 0x800
CR0_CPU_TIMER = 0x400
FAR = 1 << 62
"""Instructions until a timer that is not set."""


NEVER = 1 << 62


class Complex:
    """The processors of one machine: what they share.

    engine: "native" or "python". model: the CPU model, whose facilities decide which
    instructions exist.
    """

    def __init__(
        self,
        storage: Storage,
        model: CpuModel,
        count: int = 1,
        engine: str = "native",
        progress: Progress | None = None,
    ) -> None:
        self.storage = storage
        self.model = model
        self.image = build_native(progress) if engine == "native" else None
        self.table = NativeTable(self.image, model.facilities)
        self.table.install(storage.cache)
        self._addresses = ctypes.create_string_buffer(AddressPointer.size * count)
        self.processors = [Processor(self, n) for n in range(count)]
        for n, processor in enumerate(self.processors):
            where = ctypes.addressof(self._addresses) + AddressPointer.size * n
            AddressPointer.raw_at(where).cpu = processor.state.address
        for processor in self.processors:
            processor.raw.machine_cpus = ctypes.addressof(self._addresses)
            processor.raw.cpu_count = count
            processor.reset()
        storage.on_code_written.append(self._code_written)
        self.ultravisor: object | None = None
        """The Ultravisor (ultravisor.py), once a hypervisor has looked for it."""

    def _code_written(self, absolute: int) -> None:
        self.processors[0].call("code_written", absolute, 4096)


def facility_words(facilities: frozenset[int]) -> list[int]:
    """The facility list as four doublewords, bit 0 leftmost. ref: PoP 4 Facility Indications."""
    words = [0, 0, 0, 0]
    for bit in facilities:
        if bit < 256:
            words[bit // 64] |= 1 << (63 - bit % 64)
    return words


class _Pair:
    """Live list view of an array of 64-bit values."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __getitem__(self, index: int) -> int:
        return self._array[index]

    def __setitem__(self, index: int, value: int) -> None:
        self._array[index] = value & 0xFFFF_FFFF_FFFF_FFFF

    def __len__(self) -> int:
        return 16


class Processor:
    """One s390x processor. `raw` reads and writes its native state as plain integers."""

    def __init__(self, complex: Complex, cpu_address: int) -> None:
        self.complex = complex
        self.storage = complex.storage
        self.cpu_address = cpu_address
        self._memory = mmap.mmap(-1, Cpu.size)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.state = Cpu.at(address)
        self.raw = Cpu.raw_at(address)
        self.gr = _Pair(self.raw.gr)
        self.cr = _Pair(self.raw.cr)
        self._address = address
        self._reason = (ctypes.c_uint32 * 1).from_address(
            address + Cpu.fields["exit_reason"].offset
        )
        raw = self.raw
        raw.deadline = NEVER
        self.known = Known(raw)
        """State descriptions that have passed the checks of SIE."""
        raw.cpu_address = cpu_address
        raw.ram, raw.ram_size = self.storage.address, self.storage.size
        raw.keys, raw.code_map = self.storage.keys, self.storage.code_map
        raw.code_cache = self.storage.code_cache
        for n, word in enumerate(facility_words(complex.model.facilities)):
            raw.facilities[n] = word
        image = complex.image
        self._calls: dict[str, Any] = {}
        if image is not None:
            self._run = image.callable(RUN, None, ctypes.c_void_p)
            for name, function in CALLABLE.items():
                extra = len(function.parameters) - 1
                self._calls[name] = image.callable(
                    function.symbol, None, ctypes.c_void_p, *[ctypes.c_uint64] * extra
                )
        else:
            self._run = Interpreter(complex.table, HOOKS, (Cpu, Record)).run

    def call(self, name: str, *args: int) -> None:
        """Call a typed function of table.CALLABLE on this processor."""
        if self._calls:
            self._calls[name](self.state.address, *args)
        else:
            CALLABLE[name](self.state, *args)

    def reset(self, clear_registers: bool = True) -> None:
        """Initial CPU reset, and clearing of the registers. ref: PoP 4 Resets."""
        raw = self.raw
        if clear_registers:
            for n in range(16):
                raw.gr[n] = 0
                raw.ar[n] = 0
            for n in range(64):
                raw.vr[n] = 0
        for n in range(16):
            raw.cr[n] = 0
        raw.cr[0], raw.cr[14] = AFP_RESET_CR0, CR14_RESET
        raw.fpc = raw.todpr = 0
        raw.prefix = 0
        raw.pending = 0
        raw.check = 0
        raw.clock_comparator = 0xFFFF_FFFF_FFFF_FFFF
        raw.timer_deadline = 0x7FFF_FFFF_FFFF_FFFF
        raw.breaking = 1
        raw.running = 0
        raw.executed_mode = 0xFFFF_FFFF_FFFF_FFFF
        self.psw = (0, 0)
        self.call("controls_changed")
        self.call("purge_all")

    @property
    def psw(self) -> tuple[int, int]:
        """(bits 0-63 with the condition code, instruction address)."""
        return self.raw.psw_mask | (self.raw.cc << 44), self.raw.psw_addr

    @psw.setter
    def psw(self, value: tuple[int, int]) -> None:
        self.call("load_psw", *value)

    @property
    def icount(self) -> int:
        """Instructions executed so far (exact at block ends)."""
        return self.raw.limit - self.raw.budget

    @property
    def tod(self) -> int:
        """The TOD clock, without an epoch difference."""
        return (self.raw.tod_base + TOD_PER_INSTRUCTION * self.icount) & (2**64 - 1)

    @tod.setter
    def tod(self, value: int) -> None:
        self.raw.tod_base = (value - TOD_PER_INSTRUCTION * self.icount) & (2**64 - 1)

    def run(self, budget: int) -> Exit:
        """Execute up to about `budget` instructions; says why it came back."""
        self.raw.run_budget = budget
        return Exit(self.enter())

    def enter(self) -> int:
        """Execute with the budget that `raw.run_budget` says; an `Exit`'s number."""
        while True:
            self._run(self._address)
            reason = self._reason[0]
            if reason != Exit.CODE_CACHE_FULL:
                return reason
            self.call("flush_code")

    def step(self) -> Exit:
        """Execute one instruction, or take the interruption that is due and execute one."""
        self.raw.stepping = 1
        self.call("mode_changed")
        try:
            return self.run(1)
        finally:
            self.raw.stepping = 0
            self.call("mode_changed")

    def set_cc(self, value: int) -> None:
        """Set the condition code, of the instruction that has just left."""
        self.raw.cc = value

    def make_pending(self, bits: int) -> None:
        """Make interruption conditions pending; they are looked at before the next instruction."""
        self.raw.pending |= bits
        self.raw.check = 1

    def record(self) -> Any:
        """The decoded record of the last exit, if any."""
        return Record.raw_at(self.raw.exit_record) if self.raw.exit_record else None

    def program(self, code: int) -> None:
        """Present a program interruption for the instruction that has just left."""
        self.raw.fault_code = code
        self.call("take_program", 4, self.raw.psw_addr)

    def timer_due(self) -> bool:
        """Whether clock comparator or CPU timer has become pending."""
        return self.until_timer() <= 0

    def until_timer(self) -> int:
        """Instructions until the clock comparator or the CPU timer asks for attention.

        Conditions whose subclass mask in control register 0 is zero do not count.
        """
        raw = self.raw
        now = self.tod
        nearest = FAR
        if raw.cr[0] & CR0_CLOCK_COMPARATOR:
            ahead = raw.clock_comparator - ((now + raw.epoch) & (2**64 - 1)) + 1
            nearest = min(nearest, max(0, -(-ahead // TOD_PER_INSTRUCTION)))
        if raw.cr[0] & CR0_CPU_TIMER:
            ahead = (raw.timer_deadline - now) & (2**64 - 1)
            ahead = 0 if ahead >> 63 else ahead + 1
            nearest = min(nearest, -(-ahead // TOD_PER_INSTRUCTION))
        return nearest

    def store_status(self, address: int) -> None:
        """Store the registers at an absolute address, as STORE STATUS does. ref: PoP 4."""
        raw, put = self.raw, self.storage.write
        for n in range(16):
            put(address + 0 + 8 * n, raw.vr[2 * n].to_bytes(8, "big"))
            put(address + 0x80 + 8 * n, raw.gr[n].to_bytes(8, "big"))
            put(address + 0x140 + 4 * n, raw.ar[n].to_bytes(4, "big"))
            put(address + 0x180 + 8 * n, raw.cr[n].to_bytes(8, "big"))
        mask, psw_address = self.psw
        put(address + 0x100, mask.to_bytes(8, "big") + psw_address.to_bytes(8, "big"))
        put(address + 0x118, raw.prefix.to_bytes(4, "big") + raw.fpc.to_bytes(4, "big"))
