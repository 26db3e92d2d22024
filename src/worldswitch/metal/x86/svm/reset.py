"""What INIT does to SVM. ref: APM2 15.30.1 VM_CR MSR; APM2 14.1.3 Processor Initialization State"""

from worldswitch.arch.x86.msrs import VmCr
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.state import Cpu


@typed(inline=False)
def svm_reset(cpu: Cpu) -> None:
    """No guest executes any more, GIF is one; SVMDIS goes unless it is locked."""
    n: u64 = 0
    while n < 6:
        cpu.intercepts[n] = 0
        n += 1
    cpu.guest = 0
    cpu.asid = 0
    cpu.nested = 0
    cpu.v_intr = 0
    cpu.guest_tsc_offset = 0
    cpu.scaled_tsc = 0
    cpu.virtual_lbr = 0
    cpu.inject = 0
    cpu.event_info = 0
    cpu.vmcb_cached = 0
    cpu.gif = 1
    if cpu.vm_cr & VmCr.LOCK == 0:
        cpu.vm_cr = cpu.vm_cr & ~u64(VmCr.SVMDIS)
