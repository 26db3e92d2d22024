"""INS and OUTS and their repetition. ref: APM3 3; APM2 15.10.2 IN and OUT Behavior"""

from typing import Any

from worldswitch.arch.x86.svm_exits import IoioInfo
from worldswitch.engine import i64, typed, u8, u64
from worldswitch.metal.x86.bus import BUS_IN, BUS_OUT, bus_call
from worldswitch.metal.x86.flags import B, D, W, Width
from worldswitch.metal.x86.flow import resume
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.strings import REPEATED, again, following, step_of
from worldswitch.metal.x86.io import io_allowed
from worldswitch.metal.x86.memory import LOAD, STORE, linear
from worldswitch.metal.x86.mode import MODE_SINGLE, PAGE
from worldswitch.metal.x86.offsets import extra_segment, offset_mask, place, put_offset
from worldswitch.metal.x86.operands import next_rip
from worldswitch.metal.x86.paging import check_write
from worldswitch.metal.x86.single import single_end
from worldswitch.metal.x86.state import DATA, DS, ES, FLAT, RCX, RDI, RDX, RSI, Cpu, Record
from worldswitch.metal.x86.svm.intercepts import intercept_io, io_address


@typed(leaves=True, inline=False)
def port_of(cpu: Cpu, rec: Record, mask: u64, size: u64, out: bool) -> u64:
    """The port, after the checks of an access and its intercept."""
    port = cpu.gr[RDX] & 0xFFFF
    io_allowed(cpu, port, size)
    info: u64 = IoioInfo.STR
    if rec.prefixes & REPEATED != 0:
        info = info | IoioInfo.REP
    segment: u64 = ES
    if out:
        segment = u64(rec.seg)
        if segment == FLAT:
            segment = DS
    else:
        info = info | IoioInfo.IN
    bytes: u64 = 8
    if mask == 0xFFFF:
        bytes = 2
    elif mask == 0xFFFF_FFFF:
        bytes = 4
    intercept_io(cpu, port, size, info | io_address(bytes, segment), next_rip(cpu, rec))
    return port


def _ins(w: Width) -> Any:
    store, u, size = STORE[w.bits], w.u, w.bytes

    @typed(leaves=True, inline=False, name=f"ins_{w.letter}")
    def ins(cpu: Cpu, rec: Record, mask: u64) -> None:
        """One element; the port is read when nothing can go wrong any more."""
        port = port_of(cpu, rec, mask, u64(size), False)
        target = cpu.gr[RDI] & mask
        extra = extra_segment(cpu)
        at = place(cpu, extra, target, size, True)
        check_write(cpu, cpu.ctx[DATA], extra, at)
        last = linear(cpu, at + (size - 1))
        if (at ^ last) & PAGE != 0:
            check_write(cpu, cpu.ctx[DATA], extra, last & PAGE)
        store(cpu, u8(extra), at, u(bus_call(cpu, BUS_IN, port, size, 0)))
        put_offset(cpu, RDI, target + step_of(cpu, size), mask)

    return ins


def _outs(w: Width) -> Any:
    load, size = LOAD[w.bits], w.bytes

    @typed(leaves=True, inline=False, name=f"outs_{w.letter}")
    def outs(cpu: Cpu, rec: Record, mask: u64) -> None:
        """One element."""
        port = port_of(cpu, rec, mask, u64(size), True)
        source = cpu.gr[RSI] & mask
        value = load(cpu, rec.seg, place(cpu, u64(rec.seg), source, size, False))
        bus_call(cpu, BUS_OUT, port, size, u64(value))
        put_offset(cpu, RSI, source + step_of(cpu, size), mask)

    return outs


@typed(inline=False)
def onward(cpu: Cpu, rec: Record) -> u64:
    """Events first, as devices may have made some, then the following instruction."""
    cpu.budget -= i64(rec.count)
    cpu.rip = next_rip(cpu, rec)
    if cpu.mode & MODE_SINGLE != 0:
        single_end(cpu)
    return resume(cpu)


def _handler(one: Any) -> Any:
    @typed(leaves=True, inline=True)
    def handler(cpu: Cpu, rec: Record) -> u64:
        mask = offset_mask(cpu, rec)
        if rec.prefixes & REPEATED == 0:
            one(cpu, rec, mask)
            return onward(cpu, rec)
        left = cpu.gr[RCX] & mask
        if left == 0:
            return following(rec)
        one(cpu, rec, mask)
        put_offset(cpu, RCX, left - 1, mask)
        if left == 1:
            return onward(cpu, rec)
        return again(cpu, rec)

    return handler


_INS, _OUTS = ({w.bits: make(w) for w in (B, W, D)} for make in (_ins, _outs))


@insn("INS", "6C", ref="APM3 3 INS", raw=True, ends=True)
def insb() -> Any:
    """A byte from a port to the destination string."""
    return _handler(_INS[8])


@insn("INS", "6D", ref="APM3 3 INS", raw=True, sized=True, ends=True)
def ins_words(w: Width) -> Any:
    """16 or 32 bits from a port to the destination string."""
    return _handler(_INS[min(w.bits, 32)])


@insn("OUTS", "6E", ref="APM3 3 OUTS", raw=True, ends=True)
def outsb() -> Any:
    """A byte of the source string to a port."""
    return _handler(_OUTS[8])


@insn("OUTS", "6F", ref="APM3 3 OUTS", raw=True, sized=True, ends=True)
def outs_words(w: Width) -> Any:
    """16 or 32 bits of the source string to a port."""
    return _handler(_OUTS[min(w.bits, 32)])
