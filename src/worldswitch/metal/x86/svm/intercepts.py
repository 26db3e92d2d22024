"""Intercepts that depend on an instruction's operands."""

from worldswitch.engine import typed, u64
from worldswitch.metal.x86.state import Cpu, Record


@typed(leaves=True, inline=False)
def intercept_msr(cpu: Cpu, msr: u64, write: bool) -> None:
    """RDMSR, WRMSR."""
    return


@typed(leaves=True, inline=False)
def intercept_io(cpu: Cpu, rec: Record, port: u64, size: u64, read: bool, string: bool) -> None:
    """IN, OUT, INS, OUTS."""
    return
