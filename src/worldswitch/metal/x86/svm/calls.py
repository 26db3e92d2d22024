"""Instructions that a hypervisor written in Python issues: what `host.py` calls in native form.

Each leaves its answer in `cpu.exit_args`; where an instruction would fault, the fourth is one.
"""

from worldswitch.engine import Leave, typed, u64
from worldswitch.metal.x86.cpuid import cpuid
from worldswitch.metal.x86.mode import purge_space
from worldswitch.metal.x86.msrs import read_msr, write_msr
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.svm.block import page_changes
from worldswitch.metal.x86.svm.extra import vmload_from, vmsave_to
from worldswitch.metal.x86.svm.switch import is_page
from worldswitch.metal.x86.timers import tsc_now

FAULT = 4
"""Index in `exit_args`."""


@typed(inline=False)
def host_cpuid(cpu: Cpu, leaf: u64, subleaf: u64) -> None:
    """CPUID."""
    a, b, c, d = cpuid(cpu, leaf, subleaf)
    cpu.exit_args[0] = a
    cpu.exit_args[1] = b
    cpu.exit_args[2] = c
    cpu.exit_args[3] = d


@typed(inline=False)
def host_rdmsr(cpu: Cpu, msr: u64) -> None:
    """RDMSR."""
    cpu.exit_args[FAULT] = 1
    try:
        cpu.exit_args[0] = read_msr(cpu, msr)
        cpu.exit_args[FAULT] = 0
    except Leave:
        cpu.exit_args[0] = 0


@typed(inline=False)
def host_wrmsr(cpu: Cpu, msr: u64, value: u64) -> None:
    """WRMSR."""
    cpu.exit_args[FAULT] = 1
    try:
        write_msr(cpu, msr, value)
        cpu.exit_args[FAULT] = 0
    except Leave:
        cpu.check = 1


@typed(inline=False)
def host_rdtsc(cpu: Cpu) -> u64:
    """RDTSC."""
    return tsc_now(cpu)


@typed(inline=False)
def host_vmload(cpu: Cpu, physical: u64) -> None:
    """VMLOAD."""
    cpu.exit_args[FAULT] = 1
    if is_page(cpu, physical):
        vmload_from(cpu, cpu.ram + physical)
        cpu.exit_args[FAULT] = 0


@typed(inline=False)
def host_vmsave(cpu: Cpu, physical: u64) -> None:
    """VMSAVE."""
    cpu.exit_args[FAULT] = 1
    if is_page(cpu, physical):
        page_changes(cpu, physical)
        vmsave_to(cpu, cpu.ram + physical)
        cpu.exit_args[FAULT] = 0


@typed(inline=False)
def host_flush(cpu: Cpu) -> None:
    """What a write to the host's CR4.PGE drops."""
    purge_space(cpu, 0, 0, True, True)
