"""INIT and the start-up IPI. ref: APM2 14.1, 15.28"""

from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import typed, u16, u64
from worldswitch.metal.x86.flags import set_status
from worldswitch.metal.x86.mode import purge_all, update_mode
from worldswitch.metal.x86.state import CS, ES, GS, LDTR, RDX, TR, Cpu
from worldswitch.metal.x86.svm.reset import svm_reset

DATA_ATTR = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_W | SegAttr.TYPE_A)
CODE_ATTR = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_CODE | SegAttr.TYPE_W | SegAttr.TYPE_A)
RDX_INIT = 0x600


@typed(inline=False)
def init_reset(cpu: Cpu) -> None:
    """The state after INIT: real mode; a processor that is not the first waits for start-up."""
    n: u64 = 0
    while n < 16:
        cpu.gr[n] = 0
        n += 1
    cpu.gr[RDX] = RDX_INIT
    n = ES
    while n <= GS:
        cpu.seg_selector[n] = 0
        cpu.seg_base[n] = 0
        cpu.seg_limit[n] = 0xFFFF
        cpu.seg_attr[n] = u16(DATA_ATTR)
        n += 1
    cpu.seg_selector[CS] = 0xF000
    cpu.seg_base[CS] = 0xFFFF_0000
    cpu.seg_attr[CS] = u16(CODE_ATTR)
    cpu.seg_selector[LDTR] = 0
    cpu.seg_base[LDTR] = 0
    cpu.seg_limit[LDTR] = 0xFFFF
    cpu.seg_attr[LDTR] = u16(SegAttr.P) | 2
    cpu.seg_selector[TR] = 0
    cpu.seg_base[TR] = 0
    cpu.seg_limit[TR] = 0xFFFF
    cpu.seg_attr[TR] = u16(SegAttr.P) | 3
    cpu.gdtr_base = 0
    cpu.gdtr_limit = 0xFFFF
    cpu.idtr_base = 0
    cpu.idtr_limit = 0xFFFF
    cpu.rip = 0xFFF0
    cpu.flags = 2
    set_status(cpu, 0)
    # CD and NW stay as they are.
    cpu.cr0 = (cpu.cr0 & 0x6000_0000) | 0x10
    cpu.cr2 = 0
    cpu.cr3 = 0
    cpu.cr4 = 0
    cpu.efer = 0
    n = 0
    while n < 4:
        cpu.dr[n] = 0
        n += 1
    cpu.dr[6] = 0xFFFF_0FF0
    cpu.dr[7] = 0x400
    cpu.cpl = 0
    cpu.halted = 0
    cpu.smm = 0
    cpu.nmi_blocked = 0
    cpu.dr6_pending = 0
    cpu.delivering = 0
    cpu.trap_armed = 0
    svm_reset(cpu)
    cpu.running = 0
    if cpu.apic_base & 0x100 != 0:
        cpu.running = 1
    purge_all(cpu)
    update_mode(cpu)


@typed(inline=False)
def startup(cpu: Cpu) -> None:
    """A start-up IPI: real mode at the page that its vector numbers."""
    cpu.seg_selector[CS] = u16(cpu.startup_vector) << 8
    cpu.seg_base[CS] = u64(cpu.startup_vector) << 12
    cpu.rip = 0
    cpu.running = 1
    cpu.jump_generation += 1
    update_mode(cpu)
