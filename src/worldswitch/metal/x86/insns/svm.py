"""VMRUN, VMLOAD, VMSAVE, VMMCALL, STGI, CLGI, INVLPGA. ref: APM3 4; APM2 15

UNMODELLED: SKINIT, which is #UD as on processors without secure launches.
"""

from typing import Any

from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import undefined
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.svm.instructions import (
    invalidate,
    load_extra,
    run_guest,
    save_extra,
    set_gif,
)

VMMCALL = int(SvmExit.VMMCALL)


@insn("VMRUN", "0F 01 D8", ref="APM3 4 VMRUN", raw=True, feature="svm", control=True)
def vmrun() -> Any:
    """Execute a guest."""

    @typed(leaves=True, inline=True)
    def vmrun(cpu: Cpu, rec: Record) -> None:
        run_guest(cpu, u64(rec.prefixes))

    return vmrun


@insn("VMMCALL", "0F 01 D9", ref="APM3 3 VMMCALL", raw=True, feature="svm", intercept=VMMCALL)
def vmmcall() -> Any:
    """Call the hypervisor; #UD where that does not intercept it."""

    @typed(leaves=True, inline=True)
    def vmmcall(cpu: Cpu, rec: Record) -> None:
        undefined(cpu)

    return vmmcall


@insn("VMLOAD", "0F 01 DA", ref="APM3 4 VMLOAD", raw=True, feature="svm", control=True)
def vmload() -> Any:
    """Load what VMRUN leaves alone."""

    @typed(leaves=True, inline=True)
    def vmload(cpu: Cpu, rec: Record) -> None:
        load_extra(cpu, u64(rec.prefixes))

    return vmload


@insn("VMSAVE", "0F 01 DB", ref="APM3 4 VMSAVE", raw=True, feature="svm", control=True)
def vmsave() -> Any:
    """Save it."""

    @typed(leaves=True, inline=True)
    def vmsave(cpu: Cpu, rec: Record) -> None:
        save_extra(cpu, u64(rec.prefixes))

    return vmsave


@insn("STGI", "0F 01 DC", ref="APM3 4 STGI", raw=True, feature="svm", control=True)
def stgi() -> Any:
    """Set the global interrupt flag."""

    @typed(leaves=True, inline=True)
    def stgi(cpu: Cpu, rec: Record) -> None:
        set_gif(cpu, True)

    return stgi


@insn("CLGI", "0F 01 DD", ref="APM3 4 CLGI", raw=True, feature="svm", control=True)
def clgi() -> Any:
    """Clear it."""

    @typed(leaves=True, inline=True)
    def clgi(cpu: Cpu, rec: Record) -> None:
        set_gif(cpu, False)

    return clgi


@insn("INVLPGA", "0F 01 DF", ref="APM3 4 INVLPGA", raw=True, feature="svm", control=True)
def invlpga() -> Any:
    """Drop the translation of a page in an address space."""

    @typed(leaves=True, inline=True)
    def invlpga(cpu: Cpu, rec: Record) -> None:
        invalidate(cpu, u64(rec.prefixes))

    return invlpga
