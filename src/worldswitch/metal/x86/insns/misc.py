"""PAUSE, hints, MOVNTI, cache-line flushes, fences, RDRAND, RDSEED, BOUND, UD0-UD2. ref: APM3 3"""

from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Rflags
from worldswitch.engine import i64, signed, typed, u64
from worldswitch.metal.x86.flags import Width, set_status
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import fault
from worldswitch.metal.x86.memory import LOAD, read_page
from worldswitch.metal.x86.offsets import displaced
from worldswitch.metal.x86.operands import PUT, READ_REG, effective
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.svm.intercepts import intercept_pause
from worldswitch.metal.x86.timers import wait

PAUSE_TIME = 64
"""Ticks that PAUSE takes, about as many as a processor of the family 19h."""


@insn("PAUSE", "F3 90", ref="APM3 3 PAUSE", raw=True, sized=True)
def pause() -> Any:
    """A hint that a program spins: it takes long, so that what is waited for comes sooner."""

    @typed(leaves=True, inline=True)
    def pause(cpu: Cpu, rec: Record) -> None:
        intercept_pause(cpu)
        wait(cpu, PAUSE_TIME)

    return pause


@insn("NOP", "0F 18 /r", "0F 19 /r", "0F 1A /r", "0F 1B /r", "0F 1C /r", "0F 1D /r", "0F 1E /r",
      ref="APM3 3 NOP; APM3 3 PREFETCHlevel", raw=True, address=False)  # fmt: skip
def hint() -> Any:
    """Nothing: hints to the cache, and encodings kept for others, such as ENDBR64."""

    @typed(inline=True)
    def hint(cpu: Cpu, rec: Record) -> None:
        return

    return hint


@insn("MOVNTI", "NP 0F C3 /r My,Gy", ref="APM3 3 MOVNTI", feature="sse2")
def movnti(w: Width) -> Any:
    """Store past the caches."""
    u = w.u

    @typed(inline=True)
    def movnti(cpu: Cpu, a: u) -> u:
        return a

    return movnti


@insn("CLFLUSH", "NP 0F AE /7 Mb", ref="APM3 3 CLFLUSH", raw=True, feature="clflush")
@insn("CLFLUSHOPT", "66 0F AE /7 Mb", ref="APM3 3 CLFLUSHOPT", raw=True, feature="clflushopt")
@insn("CLWB", "66 0F AE /6 Mb", ref="APM3 3 CLWB", raw=True, feature="clwb")
def clflush() -> Any:
    """There are no caches to flush: what is left are the faults of a load."""

    @typed(leaves=True, inline=True)
    def clflush(cpu: Cpu, rec: Record) -> None:
        read_page(cpu, rec.seg, effective(cpu, rec))

    return clflush


@insn("LFENCE", "NP 0F AE /5 /R", ref="APM3 3 LFENCE", raw=True, feature="sse2")
@insn("MFENCE", "NP 0F AE /6 /R", ref="APM3 3 MFENCE", raw=True, feature="sse2")
@insn("SFENCE", "NP 0F AE /7 /R", ref="APM3 3 SFENCE", raw=True, feature="sse")
def fence() -> Any:
    """Memory is accessed in program order anyway."""

    @typed(inline=True)
    def fence(cpu: Cpu, rec: Record) -> None:
        return

    return fence


@typed(inline=False)
def random_number(cpu: Cpu) -> u64:
    """The next 64 bits of a sequence that each processor has of its own, the same in every run.

    Steele, Lea and Flood's SplitMix.
    """
    cpu.random = cpu.random + 0x9E37_79B9_7F4A_7C15
    z = cpu.random ^ (u64(cpu.apic_id) << 32)
    z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)


@insn("RDRAND", "NP 0F C7 /6 Rv", ref="APM3 3 RDRAND", raw=True, feature="rdrand")
@insn("RDRAND", "66 0F C7 /6 Rv", ref="APM3 3 RDRAND", raw=True, feature="rdrand")
@insn("RDSEED", "NP 0F C7 /7 Rv", ref="APM3 3 RDSEED", raw=True, feature="rdseed")
@insn("RDSEED", "66 0F C7 /7 Rv", ref="APM3 3 RDSEED", raw=True, feature="rdseed")
def rdrand(w: Width) -> Any:
    """A number that is as good as random; CF, the other status flags zero."""
    put, u = PUT[w.bits], w.u

    @typed(inline=True)
    def rdrand(cpu: Cpu, rec: Record) -> None:
        put(cpu, rec.rm, u(random_number(cpu)))
        set_status(cpu, Rflags.CF)

    return rdrand


@insn("BOUND", "62 /r /m Gv,Mv", ref="APM3 3 BOUND", raw=True, long=False, address=False)
def bound(w: Width) -> Any:
    """#BR unless a signed index lies between the two bounds in memory."""
    load, read, size = LOAD[w.bits], READ_REG[w.bits], w.bytes

    @typed(leaves=True, inline=False, name=f"bound_{w.letter}")
    def bound(cpu: Cpu, rec: Record) -> None:
        lower = load(cpu, rec.seg, displaced(cpu, rec, 0, u64(size), False))
        upper = load(cpu, rec.seg, displaced(cpu, rec, u64(size), u64(size), False))
        index = i64(signed(read(cpu, rec)))
        if index < i64(signed(lower)) or index > i64(signed(upper)):
            fault(cpu, Vector.BR)

    return bound


@insn("UD2", "0F 0B", ref="APM3 3 UD2", raw=True, ends=True)
@insn("UD1", "0F B9 /r", ref="APM3 3 UD1", raw=True, address=False, ends=True)
@insn("UD0", "0F FF", ref="APM3 3 UD0", raw=True, ends=True)
def ud2() -> Any:
    """#UD, on purpose."""

    @typed(leaves=True, inline=True)
    def ud2(cpu: Cpu, rec: Record) -> None:
        fault(cpu, Vector.UD)

    return ud2
