"""The instruction table in native form, and the build of the processor's native code."""

import ctypes
import functools
from pathlib import Path
from typing import Any

import worldswitch.metal.x86.insns as insns
from worldswitch.engine import Typed, u64
from worldswitch.engine.build import Image, Progress, Unit, build
from worldswitch.engine.flows import Flow, Hooks
from worldswitch.metal.native import shared_functions
from worldswitch.metal.x86 import decode_bits as decode
from worldswitch.metal.x86 import flow
from worldswitch.metal.x86.apic import message
from worldswitch.metal.x86.begin import begin
from worldswitch.metal.x86.codecache import InsnInfo, code_written, flush_code
from worldswitch.metal.x86.flags import set_status, status
from worldswitch.metal.x86.insn import TABLE, Insn
from worldswitch.metal.x86.mode import (
    purge_all,
    purge_page,
    purge_page_of_asid,
    purge_space,
    update_mode,
)
from worldswitch.metal.x86.operands import ANYWHERE
from worldswitch.metal.x86.probe import probe_code
from worldswitch.metal.x86.reset import init_reset
from worldswitch.metal.x86.state import Record
from worldswitch.metal.x86.superinsns import Superinsn, SuperTable, superinsns
from worldswitch.metal.x86.svm import calls

HOOKS = Hooks(begin, flow.leave, flow.taken, flow.jump, flow.before_control, flow.resume)
RUN = "x86:run"
UNIT_SIZE = 90
"""Instructions compiled as one unit."""

PSEUDO: dict[str, Typed[Any, Any]] = {
    "stale": flow.stale,
    "undefined": flow.undefined,
    "protection": flow.protection,
    "no_device": flow.no_device,
    "goto": flow.goto_next,
    "address": flow.address,
    "intercept": flow.intercept,
    "single_begin": flow.begin_single,
    "single_end": flow.end_single,
}
"""Records of the engine's own: `CodeCache.<name>_insn` holds each one's index."""

CALLABLE: dict[str, Typed[Any, Any]] = {
    "purge_all": purge_all,
    "purge_space": purge_space,
    "purge_page": purge_page,
    "update_mode": update_mode,
    "init_reset": init_reset,
    "set_status": set_status,
    "flush_code": flush_code,
    "code_written": code_written,
    "message": message,
    "purge_page_of_asid": purge_page_of_asid,
    "host_cpuid": calls.host_cpuid,
    "host_rdmsr": calls.host_rdmsr,
    "host_wrmsr": calls.host_wrmsr,
    "host_vmload": calls.host_vmload,
    "host_vmsave": calls.host_vmsave,
    "host_flush": calls.host_flush,
}
"""Typed functions that the Python side of a processor calls in native form."""

ANSWERING: dict[str, Typed[Any, Any]] = {
    "status": status,
    "host_rdtsc": calls.host_rdtsc,
    "probe_code": probe_code,
}
"""The same, with a 64-bit answer."""

IMMEDIATES = {8: decode.IMM_8, 16: decode.IMM_16, 32: decode.IMM_32, 64: decode.IMM_64}
SHAPE_PREFIX, PREFIX_WEIGHT = decode.SHAPE_PREFIX, 16
SIZE_INDEX = {16: 0, 32: 1, 64: 2}
DIMENSIONS = (
    (decode.SHAPE_PREFIX, 4), (decode.SHAPE_REG, 8), (decode.SHAPE_MOD, 2), (decode.SHAPE_RM, 8),
    (decode.SHAPE_SIZE, 3), (decode.SHAPE_LONG, 2), (decode.SHAPE_ASIZE, 3), (decode.SHAPE_VL, 2),
)  # fmt: skip


def flow_of(function: Typed[Any, Any], control: bool) -> Flow:
    """How an instruction ends, from what its function returns (insn.py)."""
    returns = function.returns
    if returns is bool:
        return Flow.BRANCH
    if returns is u64:
        return Flow.RECORD
    if returns is not None:
        return Flow.JUMP
    return Flow.CONTROL if control else Flow.NEXT


@functools.cache
def _symbols() -> dict[tuple[Typed[Any, Any], Flow], str]:
    """The handlers that there are: instructions of one function and flow share one."""
    found: dict[tuple[Typed[Any, Any], Flow], str] = {}
    for item in TABLE:
        found.setdefault(_handled(item), f"insn:{item.symbol}")
    return found


def _handled(item: Insn) -> tuple[Typed[Any, Any], Flow]:
    return item.function, flow_of(item.function, item.rules.control)


def symbol_of(item: Insn) -> str:
    """The native symbol of an instruction's handler."""
    return _symbols()[_handled(item)]


def _emit_insns(items: list[Insn]) -> Any:
    def emit(module: Any) -> None:
        from worldswitch.engine.threaded import HandlerMaker

        maker = HandlerMaker(module, HOOKS, Record.size)
        for item in items:
            function, kind = _handled(item)
            maker.handler(symbol_of(item), function, ANYWHERE, kind)

    return emit


def _emit_supers(items: list[Superinsn]) -> Any:
    def emit(module: Any) -> None:
        from worldswitch.engine.threaded import HandlerMaker

        maker = HandlerMaker(module, HOOKS, Record.size)
        for item in items:
            *before, (last, kind) = [_handled(part) for part in item.parts]
            assert all(flow is Flow.NEXT for _, flow in before), item.symbol
            functions = [function for function, _ in before]
            maker.handler(item.symbol, last, ANYWHERE, kind, functions)

    return emit


def _emit_pseudo(module: Any) -> None:
    from worldswitch.engine.threaded import HandlerMaker

    maker = HandlerMaker(module, HOOKS, Record.size)
    for name, function in PSEUDO.items():
        maker.handler(f"pseudo:{name}", function, ANYWHERE, flow_of(function, False))
    maker.run(RUN)


def build_native(progress: Progress | None = None) -> Image:
    """Compile all handlers, or load them from the cache."""
    assert insns.__name__
    units = [Unit("pseudo", _emit_pseudo)]
    handlers = list({symbol_of(item): item for item in TABLE}.values())
    for start in range(0, len(handlers), UNIT_SIZE):
        chunk = handlers[start : start + UNIT_SIZE]
        units.append(Unit(f"insns-{start // UNIT_SIZE}", _emit_insns(chunk)))
    combined = superinsns()
    for start in range(0, len(combined), UNIT_SIZE):
        several = combined[start : start + UNIT_SIZE]
        units.append(Unit(f"supers-{start // UNIT_SIZE}", _emit_supers(several)))
    roots = [item.function for item in TABLE]
    shared = shared_functions("worldswitch.metal.x86", roots)
    return build("x86", units, shared, sources(), progress)


def sources() -> list[Path]:
    """The files whose content decides about the native code."""
    here = Path(__file__).parent
    softfloat = here.parent / "softfloat"
    return [here, softfloat, *sorted(here.parent.glob("*.py")), here.parent.parent / "arch"]


class NativeTable:
    """The tables that decoding reads, in native memory; addresses go into the CodeCache.

    features: those that the processor has (arch.x86.cpuid names).
    """

    def __init__(self, image: Image | None, features: frozenset[str]) -> None:
        self.items = TABLE
        names = list(PSEUDO)
        self.functions = [i.function for i in TABLE] + [PSEUDO[n] for n in names]
        self.flows = [flow_of(i.function, i.rules.control) for i in TABLE]
        self.flows += [flow_of(PSEUDO[n], False) for n in names]
        self.operands = [ANYWHERE] * len(self.functions)
        self.pseudo = {n: len(TABLE) + k for k, n in enumerate(names)}
        self.infos = ctypes.create_string_buffer(InsnInfo.size * len(self.functions))
        self.installed = [
            i for i in TABLE if i.rules.feature is None or i.rules.feature in features
        ]
        self.supers = SuperTable(image, symbol_of)
        addresses: dict[str, int] = {}
        for item in TABLE:
            info = self._info(item.index)
            symbol = symbol_of(item)
            if symbol not in addresses:
                addresses[symbol] = 0 if image is None else image.address(symbol)
            info.handler = addresses[symbol]
            info.row, info.column = self.supers.row(symbol), self.supers.column(symbol)
            info.kind = kind_of(item)
            info.immediate = immediate_of(item)
            info.width = item.memory_bytes
            if item.rules.intercept is not None:
                info.intercept = item.rules.intercept + 1
        for name, index in self.pseudo.items():
            info = self._info(index)
            info.handler = 0 if image is None else image.address(f"pseudo:{name}")
            info.kind = decode.INSN_ENDS
        self._opcodes()

    def _info(self, index: int) -> Any:
        return InsnInfo.raw_at(ctypes.addressof(self.infos) + InsnInfo.size * index)

    def _opcodes(self) -> None:
        groups: dict[int, list[Insn]] = {}
        for item in self.installed:
            encoding = item.encoding
            span = range(8) if encoding.plus_r else range(1)
            for n in span:
                groups.setdefault(encoding.map << 8 | encoding.opcode + n, []).append(item)
        self.opcodes: dict[int, tuple[int, int, int, int, int]] = {}
        slots = [0]
        for key, items in groups.items():
            shape = 0
            for item in items:
                shape |= shape_of(item)
            kind = decode.OPCODE_KNOWN
            if any(i.encoding.modrm for i in items):
                kind |= decode.OPCODE_MODRM
            d64 = extensions([i for i in items if i.rules.d64])
            f64 = extensions([i for i in items if i.rules.f64])
            self.opcodes[key] = (shape, kind, len(slots), d64, f64)
            slots += variants(key, shape, items)
        self.slots = (ctypes.c_uint16 * len(slots))(*slots)

    def install(self, cache: Any) -> None:
        """Point a CodeCache (raw view) at these tables."""
        cache.infos = ctypes.addressof(self.infos)
        cache.continuations, cache.columns = self.supers.address, self.supers.columns
        cache.variants = ctypes.addressof(self.slots)
        for key, (shape, kind, base, d64, f64) in self.opcodes.items():
            entry = cache.opcodes[key]
            entry.shape, entry.kind, entry.base = shape, kind, base
            entry.d64, entry.f64 = d64, f64
        for name, index in self.pseudo.items():
            setattr(cache, f"{name}_insn", index)
        cache.stale_handler = self._info(self.pseudo["stale"]).handler


def extensions(items: list[Insn]) -> int:
    """The values of ModRM.reg that select these variants, a bit each."""
    found = 0
    for item in items:
        reg = item.encoding.reg
        found |= 0xFF if reg is None else 1 << reg
    return found


def kind_of(item: Insn) -> int:
    """INSN_* bits."""
    rules = item.rules
    flow_kind = flow_of(item.function, rules.control)
    kind = 0
    if rules.ends or flow_kind in (Flow.CONTROL, Flow.JUMP) or item.encoding is None:
        kind |= decode.INSN_ENDS
    if flow_kind is Flow.CONTROL:
        kind |= decode.INSN_CONTROL
    for value, bit in (
        (rules.cpl0, decode.INSN_CPL0), (rules.lock and to_memory(item), decode.INSN_LOCK),
        (item.byte_reg, decode.INSN_BYTE_REG), (item.byte_rm, decode.INSN_BYTE_RM),
        (rules.unit == "x87", decode.INSN_X87), (rules.unit == "sse", decode.INSN_SSE),
        (rules.unit == "mmx", decode.INSN_MMX), (rules.unit == "avx", decode.INSN_AVX),
        (rules.writes, decode.INSN_WRITES), (rules.protected, decode.INSN_PROTECTED),
        (item.immediate == "o", decode.INSN_OFFSET), (item.encoding.plus_r, decode.INSN_PLUS_R),
        (rules.address, decode.INSN_ADDRESS),
    ):  # fmt: skip
        if value:
            kind |= bit
    return kind


def to_memory(item: Insn) -> bool:
    """Whether the first operand may be memory: LOCK is for a memory destination alone."""
    return not item.encoding.operands or item.encoding.operands[0].letter in ("E", "M")


def immediate_of(item: Insn) -> int:
    """IMM_* of an instruction."""
    kind, bits = item.immediate, item.immediate_bits
    if kind == "i":
        return IMMEDIATES[bits]
    if kind == "ii":
        return {16 | 8 << 8: decode.IMM_16_8, 8 | 8 << 8: decode.IMM_8_8}[bits]
    if kind == "j":
        return IMMEDIATES[bits] | decode.IMM_BRANCH
    if kind == "p":
        return decode.IMM_FAR16 if bits == 16 else decode.IMM_FAR32
    return decode.IMM_NONE


def shape_of(item: Insn) -> int:
    """SHAPE_* bits: what has to be looked at to tell an instruction from others."""
    encoding, rules = item.encoding, item.rules
    shape = 0
    for value, bit in (
        (encoding.prefix, decode.SHAPE_PREFIX), (encoding.reg, decode.SHAPE_REG),
        (item.mod, decode.SHAPE_MOD), (encoding.rm, decode.SHAPE_RM),
        (item.size, decode.SHAPE_SIZE), (rules.long, decode.SHAPE_LONG),
        (rules.asize, decode.SHAPE_ASIZE), (encoding.length, decode.SHAPE_VL),
    ):  # fmt: skip
        if value is not None:
            shape |= bit
    return shape


def choices(item: Insn, bit: int, count: int) -> range | list[int]:
    """The values of one dimension for which an instruction is meant."""
    encoding, rules = item.encoding, item.rules
    value: int | None = {
        decode.SHAPE_PREFIX: encoding.prefix,
        decode.SHAPE_REG: encoding.reg,
        decode.SHAPE_MOD: None if item.mod is None else int(item.mod == "reg"),
        decode.SHAPE_RM: encoding.rm,
        decode.SHAPE_SIZE: None if item.size is None else SIZE_INDEX[item.size],
        decode.SHAPE_LONG: None if rules.long is None else int(rules.long),
        decode.SHAPE_ASIZE: None if rules.asize is None else SIZE_INDEX[rules.asize],
        decode.SHAPE_VL: encoding.length,
    }[bit]
    if value is None:
        return range(count)
    if bit == decode.SHAPE_SIZE and value == 1 and _either(item):
        return [0, 1]
    return [value]


def _either(item: Insn) -> bool:
    """Whether a 32-bit form stands for 16 bits too: of operands that REX.W alone widens."""
    letters = {o.size for o in item.encoding.operands}
    return "y" in letters and not letters & {"v", "z"}


def variants(key: int, shape: int, items: list[Insn]) -> list[int]:
    """The table of one opcode: an instruction's index plus one for every combination, or 0.

    An instruction that says less of what selects it gives way to one that says more, above all to
    one with a mandatory prefix. Raises
    ValueError if two say as much.
    """
    count = 1
    for bit, size in DIMENSIONS:
        if shape & bit:
            count *= size
    table = [0] * count
    weights = [-1] * count
    for item in items:
        shape_here = shape_of(item)
        weight = bin(shape_here).count("1") + (PREFIX_WEIGHT if shape_here & SHAPE_PREFIX else 0)
        spots = [0]
        for bit, size in DIMENSIONS:
            if shape & bit:
                spots = [s * size + c for s in spots for c in choices(item, bit, size)]
        for spot in spots:
            if weights[spot] == weight and table[spot] != item.index + 1:
                other = TABLE[table[spot] - 1].symbol
                raise ValueError(f"opcode {key:03x}: {item.symbol} and {other} are one encoding")
            if weights[spot] < weight:
                table[spot], weights[spot] = item.index + 1, weight
    return table
