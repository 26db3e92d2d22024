"""The instruction table in native form, and the build of the processor's native code."""

import ctypes
from pathlib import Path
from typing import Any

import worldswitch.metal.s390x.insns as insns
from worldswitch.engine import Typed, u64
from worldswitch.engine.build import Image, Progress, Unit, build
from worldswitch.engine.flows import Flow, Hooks
from worldswitch.metal import native
from worldswitch.metal.s390x import flow
from worldswitch.metal.s390x.begin import begin
from worldswitch.metal.s390x.codecache import FieldInfo, InsnInfo, code_written, flush_code
from worldswitch.metal.s390x.decode import (
    AFP_BITS,
    INSN_BFP,
    INSN_CONTROL,
    INSN_ENDS,
    INSN_PRIVILEGED,
    INSN_RELATIVE,
)
from worldswitch.metal.s390x.formats import FORMATS, SECOND_OPCODE, Kind
from worldswitch.metal.s390x.insn import TABLE, Insn
from worldswitch.metal.s390x.mode import controls_changed, mode_changed, purge_all, purge_frame
from worldswitch.metal.s390x.operands import ANYWHERE, operands_of
from worldswitch.metal.s390x.psw import load_psw
from worldswitch.metal.s390x.sie.exits import intercept, intercept_conditionally
from worldswitch.metal.s390x.state import Record

HOOKS = Hooks(begin, flow.leave, flow.taken, flow.jump, flow.before_control, flow.resume)
RUN = "s390x:run"
UNIT_SIZE = 90
"""Instructions compiled as one unit."""

PSEUDO: dict[str, Typed[Any, Any]] = {
    "stale": flow.stale,
    "operation": flow.undefined,
    "privileged": flow.privileged,
    "goto": flow.goto_next,
    "after_execute": flow.after_execute,
    "intercept": intercept,
    "conditional_intercept": intercept_conditionally,
    "bfp": flow.bfp_disabled,
    "afp": flow.afp_disabled,
    "access_register": flow.access_register,
    "per_before": flow.per_before,
    "per": flow.goto_next,
}
"""Records of the engine's own: `CodeCache.<name>_insn` holds each one's index."""

CALLABLE: dict[str, Typed[Any, Any]] = {
    "purge_all": purge_all,
    "purge_frame": purge_frame,
    "mode_changed": mode_changed,
    "controls_changed": controls_changed,
    "load_psw": load_psw,
    "flush_code": flush_code,
    "code_written": code_written,
    "take_program": flow.take_program,
    "translate_host": flow.translate_host,
}
"""Typed functions that the Python side of a processor calls in native form."""


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


def instructions() -> list[Insn]:
    """All instructions, in the order of their indices."""
    assert insns.__name__
    return sorted(TABLE.values(), key=lambda i: i.index)


def symbol_of(item: Insn) -> str:
    """The native symbol of an instruction's handler."""
    return f"insn:{item.mnemonic}:{item.opcode}"


def _emit_insns(items: list[Insn]) -> Any:
    def emit(module: Any) -> None:
        from worldswitch.engine.threaded import HandlerMaker

        maker = HandlerMaker(module, HOOKS, Record.size)
        for item in items:
            maker.handler(
                symbol_of(item),
                item.function,
                operands_of(item.format),
                flow_of(item.function, item.control),
            )

    return emit


def _emit_pseudo(module: Any) -> None:
    from worldswitch.engine.threaded import HandlerMaker

    maker = HandlerMaker(module, HOOKS, Record.size)
    for name, function in PSEUDO.items():
        maker.handler(f"pseudo:{name}", function, ANYWHERE, flow_of(function, False))
    maker.run(RUN)


def build_native(progress: Progress | None = None) -> Image:
    """Compile all handlers, or load them from the cache."""
    items = instructions()
    units = [Unit("pseudo", _emit_pseudo)]
    for start in range(0, len(items), UNIT_SIZE):
        chunk = items[start : start + UNIT_SIZE]
        units.append(Unit(f"insns-{start // UNIT_SIZE}", _emit_insns(chunk)))
    return build("s390x", units, shared_functions(), sources(), progress)


def sources() -> list[Path]:
    """The files whose content decides about the native code."""
    here = Path(__file__).parent
    softfloat = here.parent / "softfloat"
    return [here, softfloat, *sorted(here.parent.glob("*.py")), here.parent.parent / "arch"]


def shared_functions() -> list[Typed[Any, Any]]:
    """Never-inlined functions of the whole processor: each is compiled once."""
    return native.shared_functions(
        "worldswitch.metal.s390x", [item.function for item in TABLE.values()]
    )


class NativeTable:
    """The tables that decoding reads, in native memory; addresses go into the CodeCache."""

    def __init__(self, image: Image | None, facilities: frozenset[int]) -> None:
        self.items = instructions()
        names = list(PSEUDO)
        self.functions = [i.function for i in self.items] + [PSEUDO[n] for n in names]
        self.flows = [flow_of(i.function, i.control) for i in self.items]
        self.flows += [flow_of(PSEUDO[n], False) for n in names]
        self.operands = [operands_of(i.format) for i in self.items] + [ANYWHERE] * len(names)
        self.pseudo = {n: len(self.items) + k for k, n in enumerate(names)}
        count = len(self.functions)
        self.infos = ctypes.create_string_buffer(InsnInfo.size * count)
        fields: list[tuple[int, int, int, int, int]] = []
        for item in self.items:
            info = InsnInfo.raw_at(ctypes.addressof(self.infos) + InsnInfo.size * item.index)
            info.handler = 0 if image is None else image.address(symbol_of(item))
            info.first_field = len(fields)
            info.field_count = self._add_fields(item, fields)
            info.kind = self._kind(item)
            info.access1 = Record.fields[item.access_registers[0]].offset
            info.access2 = Record.fields[item.access_registers[1]].offset
            info.installed = item.facility is None or item.facility in facilities
            info.afp = sum(AFP_BITS[name] for name in item.afp)
            if item.intercept is not None:
                self._set_intercept(info, item)
        for name, index in self.pseudo.items():
            info = InsnInfo.raw_at(ctypes.addressof(self.infos) + InsnInfo.size * index)
            info.handler = 0 if image is None else image.address(f"pseudo:{name}")
            info.kind = INSN_ENDS
            info.installed = 1
        self.fields = ctypes.create_string_buffer(FieldInfo.size * max(1, len(fields)))
        for n, (shift, width, kind, size, member) in enumerate(fields):
            field = FieldInfo.raw_at(ctypes.addressof(self.fields) + FieldInfo.size * n)
            field.shift, field.width, field.kind = shift, width, kind
            field.member_size, field.member = size, member
        self._opcodes()

    @staticmethod
    def _add_fields(item: Insn, fields: list[tuple[int, int, int, int, int]]) -> int:
        seen: set[str] = set()
        for operand in FORMATS[item.format]:
            if operand.field in seen:
                continue
            seen.add(operand.field)
            member = Record.fields[operand.field]
            shift = 64 - operand.position - operand.width
            size = member.element.bits // 8
            fields.append((shift, operand.width, int(operand.kind), size, member.offset))
        return len(seen)

    @staticmethod
    def _kind(item: Insn) -> int:
        kind = 0
        flow_kind = flow_of(item.function, item.control)
        if flow_kind in (Flow.CONTROL, Flow.RECORD):
            kind |= INSN_ENDS if flow_kind is Flow.CONTROL else 0
        if flow_kind is Flow.CONTROL:
            kind |= INSN_CONTROL
        if item.privileged:
            kind |= INSN_PRIVILEGED
        if item.bfp:
            kind |= INSN_BFP
        if any(o.kind is Kind.RELATIVE for o in FORMATS[item.format]):
            kind |= INSN_RELATIVE
        if item.ends:
            kind |= INSN_ENDS
        return kind

    @staticmethod
    def _set_intercept(info: Any, item: Insn) -> None:
        from worldswitch.arch.s390x.state_description import StateDescription

        rule = item.intercept
        assert rule is not None
        if rule.field is None:
            info.intercept = 1
            return
        info.intercept = 2
        info.intercept_when = rule.when
        offset = StateDescription.offset_of(rule.field)
        size = StateDescription.fields[rule.field].size
        info.intercept_offset = offset
        info.intercept_mask = rule.mask << (64 - 8 * size)

    def _opcodes(self) -> None:
        """First byte to second part to index: the arrays of CodeCache.opcodes and sub_opcodes."""
        groups: dict[int, list[Insn]] = {}
        for item in self.items:
            groups.setdefault(int(item.opcode[:2], 16), []).append(item)
        self.opcodes: dict[int, tuple[int, int, int]] = {}
        slots = [0]
        for first, items in groups.items():
            position, width = SECOND_OPCODE[items[0].format]
            if any(SECOND_OPCODE[i.format][1] != width for i in items):
                raise ValueError(f"opcode {first:02X}: formats disagree on the second part")
            base = len(slots)
            slots += [0] * (1 << width)
            for item in items:
                second = int(item.opcode[2:], 16) if width else 0
                slots[base + second] = item.index + 1
            shift = 64 - position - width if width else 0
            self.opcodes[first] = (shift, (1 << width) - 1, base)
        self.sub_opcodes = (ctypes.c_uint16 * len(slots))(*slots)

    def install(self, cache: Any) -> None:
        """Point a CodeCache (raw view) at these tables."""
        cache.infos = ctypes.addressof(self.infos)
        cache.field_infos = ctypes.addressof(self.fields)
        cache.sub_opcodes = ctypes.addressof(self.sub_opcodes)
        for first, (shift, mask, base) in self.opcodes.items():
            entry = cache.opcodes[first]
            entry.shift, entry.mask, entry.base = shift, mask, base
        for name, index in self.pseudo.items():
            setattr(cache, f"{name}_insn", index)
        stale = InsnInfo.raw_at(ctypes.addressof(self.infos) + InsnInfo.size * self.pseudo["stale"])
        cache.stale_handler = stale.handler
