"""The processor as Python sees it: a facade over the native state."""

import ctypes
import functools
import mmap
from collections.abc import Callable
from typing import Any

from worldswitch.arch.x86.models import CpuModel
from worldswitch.arch.x86.msrs import TSC_RATIO_ONE, Hwcr, Msr
from worldswitch.engine.build import Progress
from worldswitch.engine.intrinsics import entry_in_python
from worldswitch.metal.blocks import AddressPointer
from worldswitch.metal.interpret import Interpreter
from worldswitch.metal.x86 import constants, cpuid
from worldswitch.metal.x86.features import MODELLED
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.mode import MODE_CODE32, MODE_LONG
from worldswitch.metal.x86.msrs import KEPT
from worldswitch.metal.x86.pending import PENDING_INIT, PENDING_STARTUP
from worldswitch.metal.x86.state import CS, Cpu, Record
from worldswitch.metal.x86.state_area import PKRU, SSE, X87
from worldswitch.metal.x86.storage import Storage
from worldswitch.metal.x86.svm.features import describe
from worldswitch.metal.x86.table import ANSWERING, CALLABLE, HOOKS, RUN, NativeTable, build_native

NEVER = 1 << 62
Bus = Callable[["Processor"], None]
"""Answers a device access that the processor's `bus_*` members describe (bus.py)."""
BUS_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64)


class Complex:
    """The processors of one machine: what they share.

    engine: "native" or "python". model: the CPU model, whose features decide which instructions
    exist. bus: called for accesses that are not memory's.
    """

    def __init__(
        self,
        storage: Storage,
        model: CpuModel,
        count: int = 1,
        engine: str = "native",
        progress: Progress | None = None,
        bus: Bus | None = None,
    ) -> None:
        self.storage = storage
        self.model = model.limited_to(MODELLED)
        self.bus = bus
        self.image = build_native(progress) if engine == "native" else None
        self.table = NativeTable(self.image, self.model.features)
        self.table.install(storage.cache)
        self.xcr0_mask = X87 | (SSE if self.model.has("xsave") else 0)
        if self.model.has("pku") and self.model.has("xsave"):
            self.xcr0_mask |= PKRU
        self._addresses = ctypes.create_string_buffer(AddressPointer.size * count)
        self.processors = [Processor(self, n) for n in range(count)]
        self._by_address = {p.state.address: p for p in self.processors}
        self.failure: BaseException | None = None
        """What `bus` raised; `Processor.enter` raises it again."""
        for n, processor in enumerate(self.processors):
            where = ctypes.addressof(self._addresses) + AddressPointer.size * n
            AddressPointer.raw_at(where).cpu = processor.state.address
        raws = [p.raw for p in self.processors]
        self._cpuid = cpuid.install(raws, self.model, self.xcr0_mask)
        self._answer = BUS_FUNCTION(self._bus_access)
        entry = (
            ctypes.cast(self._answer, ctypes.c_void_p).value
            if self.image is not None
            else entry_in_python(self._bus_access)
        )
        for processor in self.processors:
            raw = processor.raw
            raw.machine_cpus = ctypes.addressof(self._addresses)
            raw.cpu_count = count
            raw.bus = entry if bus is not None else 0
            processor.reset()
        storage.on_code_written.append(self._code_written)

    def _bus_access(self, address: int) -> int:
        """Called by native code, in the middle of an instruction: nothing may be raised here."""
        processor = self._by_address[int(address)]
        try:
            assert self.bus is not None
            self.bus(processor)
        except BaseException as error:
            self.failure = self.failure or error
            processor.raw.bus_value = 0xFFFF_FFFF_FFFF_FFFF
            processor.stop_soon()
        return 0

    def _code_written(self, absolute: int) -> None:
        self.processors[0].call("code_written", absolute, 4096)


class Processor:
    """One x86-64 processor. `raw` reads and writes its native state as plain integers."""

    def __init__(self, complex: Complex, apic_id: int) -> None:
        self.complex = complex
        self.storage = complex.storage
        self.apic_id = apic_id
        self._memory = mmap.mmap(-1, Cpu.size)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.state = Cpu.at(address)
        self.raw = Cpu.raw_at(address)
        self._address = address
        raw = self.raw
        raw.deadline = NEVER
        raw.ram = self.storage.address
        raw.ram_low, raw.ram_high = self.storage.low, self.storage.high
        raw.code_map = self.storage.code_map
        raw.code_cache = self.storage.code_cache
        raw.constants = constants.ADDRESS
        model = complex.model
        raw.linear_bits = model.linear_bits
        raw.physical_mask = (1 << model.physical_bits) - 1
        raw.cr4_mask, raw.efer_mask = model.cr4_mask, model.efer_mask
        raw.apic_id = apic_id
        raw.xcr0_mask = complex.xcr0_mask
        describe(raw, model)
        self._calls: dict[str, Callable[..., Any]] = {}
        image = complex.image
        if image is not None:
            self._run = image.callable(RUN, None, ctypes.c_void_p)
            for name, function in {**CALLABLE, **ANSWERING}.items():
                result = ctypes.c_uint64 if name in ANSWERING else None
                extra = [ctypes.c_uint64] * (len(function.parameters) - 1)
                self._calls[name] = image.callable(
                    function.symbol, result, ctypes.c_void_p, *extra
                )  # fmt: skip
        else:
            self._run = Interpreter(complex.table, HOOKS, (Cpu, Record)).run
        self.run_native: Callable[[], None] = functools.partial(self._run, self._address)

    def call(self, name: str, *args: int) -> Any:
        """Call a typed function of table.CALLABLE or table.ANSWERING on this processor."""
        if self._calls:
            return self._calls[name](self._address, *args)
        return (CALLABLE | ANSWERING)[name](self.state, *args)

    def reset(self) -> None:
        """The state after power-on. ref: APM2 14.1"""
        raw = self.raw
        raw.apic_base = 0xFEE0_0800 | (0x100 if self.apic_id == 0 else 0)
        raw.apic_mode = 1
        raw.apic_svr = 0xFF
        raw.apic_dfr = 0xFFFF_FFFF
        raw.apic_timer_due = 2**64 - 1
        raw.apic_tpr = 0
        for n in range(8):
            raw.apic_lvt[n] = 0x10000
        for n in range(4):
            raw.apic_irr[n] = raw.apic_isr[n] = raw.apic_tmr[n] = 0
        raw.cr0 = 0x6000_0010
        raw.xcr0 = 1
        raw.mxcsr = 0x1F80
        raw.x87_control = 0x40
        raw.misc_msrs[KEPT.index(Msr.TSC_RATIO)] = TSC_RATIO_ONE
        raw.misc_msrs[KEPT.index(Msr.HWCR)] = Hwcr.TSC_FREQ_SEL
        raw.smbase = 0x30000
        raw.pat = 0x0007_0406_0007_0406
        raw.pending = 0
        raw.vm_cr = raw.hsave = 0
        self.call("init_reset")

    @property
    def rflags(self) -> int:
        """RFLAGS, 64 bits."""
        return self.raw.flags | self.call("status")

    @rflags.setter
    def rflags(self, value: int) -> None:
        status = 0x8D5
        self.raw.flags = value & ~status & 0x3F_FFFF | 2
        self.call("set_status", value)
        self.call("update_mode")

    @property
    def icount(self) -> int:
        """Instructions executed so far (exact at block ends)."""
        return self.raw.limit - self.raw.budget

    def run(self, budget: int) -> Exit:
        """Execute up to about `budget` instructions; says why it came back."""
        self.raw.run_budget = budget
        return Exit(self.enter())

    def enter(self) -> int:
        """Execute with the budget that `raw.run_budget` says; an `Exit`'s number."""
        self.run_native()
        return self.settle()

    def settle(self) -> int:
        """What `enter` does when native code has come back: the reason, or it goes on."""
        while True:
            failure = self.complex.failure
            if failure is not None:
                self.complex.failure = None
                raise failure
            reason = self.raw.exit_reason
            if reason != Exit.CODE_CACHE_FULL:
                return reason
            self.call("flush_code")
            self.run_native()

    def step(self) -> Exit:
        """Execute one instruction, or take the event that is due and execute one."""
        self.raw.stepping = 1
        self.call("update_mode")
        try:
            return self.run(1)
        finally:
            self.raw.stepping = 0
            self.call("update_mode")

    @property
    def clock(self) -> int:
        """The machine's clock as this processor has it, in nanoseconds."""
        return self.raw.clock_base + self.icount

    @clock.setter
    def clock(self, value: int) -> None:
        self.raw.clock_base = (value - self.icount) & (2**64 - 1)

    @property
    def code_bits(self) -> int:
        """The width of the code segment: 16, 32 or 64."""
        if self.raw.mode & MODE_LONG:
            return 64
        return 32 if self.raw.mode & MODE_CODE32 else 16

    def text(self, size: int) -> bytes:
        """Bytes at RIP, up to the end of the page; none without a translation to memory."""
        raw = self.raw
        linear = raw.rip + (0 if self.code_bits == 64 else raw.seg_base[CS])
        physical = self.call("probe_code", linear)
        size = min(size, 0x1000 - (physical & 0xFFF))
        return self.storage.read(physical, size) if self.storage.contains(physical, size) else b""

    def ready(self) -> bool:
        """Whether there is something to execute."""
        raw = self.raw
        if raw.running == 0:
            return bool(raw.pending & (PENDING_INIT | PENDING_STARTUP))
        if raw.running != 1:
            return False
        return not raw.halted or bool(raw.check) or raw.apic_timer_due <= self.clock

    def wake_time(self) -> int | None:
        """Clock at which the APIC timer wakes the processor; None: it does not."""
        due = self.raw.apic_timer_due
        return due if self.raw.running == 1 and due != 2**64 - 1 else None

    def spend(self, ticks: int) -> None:
        """From a host's device: so many nanoseconds pass, of its slice as well."""
        raw = self.raw
        raw.clock_base += ticks
        raw.deadline -= min(ticks, raw.deadline)

    def look_soon(self) -> None:
        """From within a device access: look at pending events behind the current block."""
        raw = self.raw
        if raw.budget > 0:
            raw.limit -= raw.budget
            raw.budget = 0

    def stop_at(self, clock: int) -> None:
        """From within a device access: end the run no later than at a time."""
        raw = self.raw
        end = max(clock - raw.clock_base, self.icount) & (2**64 - 1)
        if end < raw.slice_end:
            raw.slice_end = end
            self.look_soon()

    def stop_soon(self) -> None:
        """From within a device access: end the run behind the current block."""
        raw = self.raw
        raw.slice_end = min(raw.slice_end, raw.limit - raw.budget)
        raw.limit -= raw.budget
        raw.budget = 0

    def make_pending(self, bits: int) -> None:
        """Make events pending (PENDING_*); they are looked at before the next instruction."""
        self.raw.pending |= bits
        self.raw.check = 1

    def record(self) -> Any:
        """The decoded record of the last instruction that left, if any."""
        return Record.raw_at(self.raw.exit_record) if self.raw.exit_record else None
