"""A guest program for each exit code of SVM that the processors can leave a guest with.

The host is a program as well: VMRUN and HLT. `PROGRAMS` and `ALONE` have those that are reached,
`NEVER` the ones that no processor here has a cause for, and why.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.semantics.x86.svm.world import (
    CODE_SELECTOR,
    GDT,
    IDT,
    IOPM,
    MSRPM,
    NESTED_PAGES,
    TSS,
    World,
)
from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.msrs import Msr, VmCr
from worldswitch.arch.x86.registers import Cr0, Cr4, Efer, Rflags
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.metal.x86.pending import PENDING_MACHINE_CHECK

HLT, INTR = SvmExit.HLT, SvmExit.INTR
IF = 2 | Rflags.IF
DIRECT = {"efer": Efer.SVME, "cr0": Cr0.PE | Cr0.NE | Cr0.ET, "cr4": 0}
"""Fields of a guest in 32-bit mode without paging."""
NOT_CANONICAL = "mov $0x4000000000000000, %rax; mov %rax, %rbp"
X2APIC = """
    mov $0x1b, %ecx; rdmsr; or $0xc00, %eax; wrmsr
    mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr
"""
"""Turns the processor's x2APIC on."""


def message(icr: int) -> str:
    """A message of the local APIC to itself."""
    return f"{X2APIC}; mov $0x830, %ecx; mov ${icr:#x}, %eax; wrmsr; nop; hlt"


Prepare = Callable[[World], None]


def nothing(world: World) -> None:
    """Nothing has to be prepared."""


@dataclass(frozen=True)
class Program:
    """What leaves a guest with a code.

    fields: of the VMCB, beside the intercept. otherwise: the code that the guest ends with if the
    intercept is off, and the vector whose handler it is then in. prepare: what else has to be so.
    """

    source: str
    fields: dict[str, int] = field(default_factory=dict)
    otherwise: int = HLT
    vector: int | None = None
    prepare: Prepare = nothing


def faults(source: str, vector: int, prepare: Prepare = nothing, **fields: int) -> Program:
    """One that the guest's own handler gets if it is not intercepted."""
    return Program(f"{source}; hlt", fields, vector=vector, prepare=prepare)


def code32(world: World) -> None:
    """The program is 32-bit code."""
    world.block.save.cs.attrib = 0xC9B
    for vector in range(32):
        low = 0x600 + vector | CODE_SELECTOR << 16 | 0x8E << 40
        world.put(IDT + 8 * vector, low)
    world.put(GDT + 8, 0x00CF_9B00_0000_FFFF)


def problem_state(world: World) -> None:
    """The program is executed at privilege level 3, in pages that allow it."""
    save = world.block.save
    save.cpl = 3
    for segment in (save.cs, save.ss, save.ds, save.es):
        segment.attrib |= 0x60


def no_gate(*vectors: int) -> Prepare:
    """There are no gates for some vectors."""

    def prepare(world: World) -> None:
        for vector in vectors:
            world.put(IDT + 16 * vector, 0)

    return prepare


def descriptor(value: int) -> Prepare:
    """Selector 20h is that of a descriptor."""
    return lambda world: world.put(GDT + 0x20, value)


def invalid_task(world: World) -> None:
    """Selector 20h is that of a task-state segment that is too short."""
    code32(world)
    world.put(GDT + 0x20, 0x0000_8900_0000_0010 | 0x4000 << 16)


def task(world: World) -> None:
    """Selector 20h is that of a task that halts."""
    code32(world)
    world.put(GDT + 0x20, 0x0000_8900_0000_0067 | 0x4000 << 16)
    for offset, value in ((0x20, 0x700), (0x24, 2), (0x38, 0x8000), (0x48, 16), (0x4C, 8),
                          (0x50, 16), (0x54, 16), (0x58, 0), (0x5C, 0), (0x60, 0)):  # fmt: skip
        world.put(0x4000 + offset, value, 4)
    world.storage.write(0x700, b"\xf4")


def machine_check(world: World) -> None:
    """The hardware finds an error as soon as the program reaches a port."""
    world.on_port = lambda: world.processor.make_pending(PENDING_MACHINE_CHECK)


def redirected_init(world: World) -> None:
    """INIT is to be an exception."""
    world.host.wrmsr(Msr.VM_CR, VmCr.R_INIT)


def every_msr(world: World) -> None:
    """The permission map intercepts everything."""
    world.storage.write(MSRPM, b"\xff" * 0x2000)


def every_port(world: World) -> None:
    """The permission map intercepts everything."""
    world.storage.write(IOPM, b"\xff" * 0x3000)


def short_idt(world: World) -> None:
    """There is no gate for any event."""
    world.block.save.idtr.limit = 0


def unmapped_nested(world: World) -> None:
    """The nested tables have nothing for the data's page."""
    world.put(NESTED_PAGES + 0x2000 + 8 * 3, 0)


PROGRAMS: dict[SvmExit, Program] = {
    # Exceptions.
    SvmExit.EXCP_DE: faults("xor %ecx, %ecx; div %ecx", Vector.DE),
    SvmExit.EXCP_DB: faults("nop", Vector.DB, rflags=2 | Rflags.TF),
    SvmExit.EXCP_BP: faults("int3", Vector.BP),
    SvmExit.EXCP_OF: faults(".code32; mov $0x7f, %al; inc %al; into", Vector.OF, code32, **DIRECT),
    SvmExit.EXCP_BR: faults(
        ".code32; mov $5, %eax; bound %eax, bounds; hlt; bounds: .long 1, 2;",
        Vector.BR,
        code32,
        **DIRECT,
    ),
    SvmExit.EXCP_UD: faults("ud2", Vector.UD),
    SvmExit.EXCP_NM: faults("mov %cr0, %rax; or $8, %eax; mov %rax, %cr0; fld1", Vector.NM),
    SvmExit.EXCP_DF: faults(f"{NOT_CANONICAL}; mov (%rax), %eax", Vector.DF, no_gate(13)),
    SvmExit.EXCP_TS: faults(".code32; ljmp $0x20, $0", Vector.TS, invalid_task, **DIRECT),
    SvmExit.EXCP_NP: faults(
        "mov $0x20, %eax; mov %eax, %ds", Vector.NP, descriptor(0x00CF_1300_0000_FFFF)
    ),
    SvmExit.EXCP_SS: faults(f"{NOT_CANONICAL}; mov (%rbp), %eax", Vector.SS),
    SvmExit.EXCP_GP: faults(f"{NOT_CANONICAL}; mov (%rax), %eax", Vector.GP),
    SvmExit.EXCP_PF: faults("movb $5, 0x40000010", Vector.PF),
    SvmExit.EXCP_MF: faults(
        "fninit; pushq $0x340; fldcw (%rsp); fld1; fldz; fdivrp; fwait", Vector.MF
    ),
    SvmExit.EXCP_AC: faults(
        "mov 0x200001, %eax",
        Vector.AC,
        problem_state,
        rflags=2 | Rflags.AC,
        cr0=Cr0.PE | Cr0.PG | Cr0.WP | Cr0.NE | Cr0.ET | Cr0.MP | Cr0.AM,
    ),
    SvmExit.EXCP_MC: faults(
        "out %al, $0x80; nop",
        Vector.MC,
        machine_check,
        cr4=Cr4.PAE | Cr4.PGE | Cr4.OSFXSR | Cr4.MCE,
    ),
    SvmExit.EXCP_XF: faults(
        "pushq $0x1d80; ldmxcsr (%rsp); xorps %xmm1, %xmm1; mov $1, %eax; cvtsi2ss %eax, %xmm0;"
        "divss %xmm1, %xmm0",
        Vector.XF,
        cr4=Cr4.PAE | Cr4.OSFXSR | Cr4.OSXMMEXCPT,
    ),
    SvmExit.EXCP_SX: faults(message(0x4500), Vector.SX, redirected_init),
    # Events from outside: the guest sends them to its own processor.
    SvmExit.INTR: Program(message(0x4041), {"rflags": IF}, vector=0x41),
    SvmExit.NMI: Program(message(0x4400), vector=2),
    SvmExit.VINTR: Program(
        "sti; nop; nop; hlt", {"v_irq": 1, "v_intr_prio": 5, "v_intr_vector": 0x50}, vector=0x50
    ),
    # Selected writes of CR0, descriptor tables.
    SvmExit.CR0_SEL_WRITE: Program("mov %cr0, %rax; xor $0x20, %rax; mov %rax, %cr0; hlt"),
    SvmExit.IDTR_READ: Program("sidt 0x200000; hlt"),
    SvmExit.GDTR_READ: Program("sgdt 0x200000; hlt"),
    SvmExit.LDTR_READ: Program("sldt %eax; hlt"),
    SvmExit.TR_READ: Program("str %eax; hlt"),
    SvmExit.IDTR_WRITE: Program("sidt 0x200000; lidt 0x200000; hlt"),
    SvmExit.GDTR_WRITE: Program("sgdt 0x200000; lgdt 0x200000; hlt"),
    SvmExit.LDTR_WRITE: Program("xor %eax, %eax; lldt %ax; hlt"),
    SvmExit.TR_WRITE: Program(
        "mov $0x20, %eax; ltr %ax; hlt", prepare=descriptor(0x0000_8900_0000_0067 | TSS << 16)
    ),
    # Instructions.
    SvmExit.RDTSC: Program("rdtsc; hlt"),
    SvmExit.RDPMC: Program("xor %ecx, %ecx; rdpmc; hlt"),
    SvmExit.PUSHF: Program("pushfq; hlt"),
    SvmExit.POPF: Program("pushq $2; popfq; hlt"),
    SvmExit.CPUID: Program("cpuid; hlt"),
    SvmExit.RSM: Program("rsm; hlt", vector=Vector.UD),
    SvmExit.IRET: Program(
        "pushq $16; pushq $0x8000; pushq $2; pushq $8; pushq $after; iretq; ud2; after: hlt"
    ),
    SvmExit.SWINT: Program("int $0x80; hlt", vector=0x80),
    SvmExit.INVD: Program("invd; hlt"),
    SvmExit.PAUSE: Program("pause; hlt"),
    SvmExit.INVLPG: Program("invlpg 0x200000; hlt"),
    SvmExit.INVLPGA: Program("xor %ecx, %ecx; invlpga %rax, %ecx; hlt"),
    SvmExit.IOIO: Program("in $0x60, %al; hlt", prepare=every_port),
    SvmExit.MSR: Program("mov $0x10, %ecx; rdmsr; hlt", prepare=every_msr),
    SvmExit.TASK_SWITCH: Program(".code32; ljmp $0x20, $0; hlt", DIRECT, prepare=task),
    SvmExit.VMMCALL: Program("vmmcall; hlt", vector=Vector.UD),
    SvmExit.VMLOAD: Program("mov $0x210000, %eax; vmload %rax; hlt"),
    SvmExit.VMSAVE: Program("mov $0x210000, %eax; vmsave %rax; hlt"),
    SvmExit.STGI: Program("stgi; hlt"),
    SvmExit.CLGI: Program("clgi; hlt"),
    SvmExit.RDTSCP: Program("rdtscp; hlt"),
    SvmExit.ICEBP: Program(".byte 0xf1; hlt", vector=Vector.DB),
    SvmExit.WBINVD: Program("wbinvd; hlt"),
    SvmExit.MONITOR: Program("mov $0x200000, %eax; xor %ecx, %ecx; monitor; hlt"),
    SvmExit.MWAIT: Program("mov $0x200000, %eax; xor %ecx, %ecx; monitor; mwait; hlt"),
    SvmExit.MWAIT_CONDITIONAL: Program("mov $0x200000, %eax; xor %ecx, %ecx; monitor; mwait; hlt"),
    SvmExit.XSETBV: Program(
        "mov $1, %eax; xor %ecx, %ecx; xor %edx, %edx; xsetbv; hlt",
        {"cr4": Cr4.PAE | Cr4.OSFXSR | Cr4.OSXSAVE},
    ),
    SvmExit.INVPCID: Program(
        "movq $0, 0x200000; movq $0, 0x200008; mov $2, %eax; invpcid 0x200000, %rax; hlt"
    ),
}
"""Those that have an intercept of their own, by which the same program is judged on and off."""
for _n in (0, 2, 3, 4, 8):
    PROGRAMS[SvmExit(SvmExit.CR0_READ + _n)] = Program(f"mov %cr{_n}, %rdx; hlt")
    PROGRAMS[SvmExit(SvmExit.CR0_WRITE + _n)] = Program(
        f"mov %cr{_n}, %rdx; mov %rdx, %cr{_n}; hlt"
    )
for _n in range(8):
    PROGRAMS[SvmExit(SvmExit.DR0_READ + _n)] = Program(f"mov %dr{_n}, %rdx; hlt")
    PROGRAMS[SvmExit(SvmExit.DR0_WRITE + _n)] = Program(
        f"mov %dr{_n}, %rdx; mov %rdx, %dr{_n}; hlt"
    )

ALONE: dict[SvmExit, Program] = {
    SvmExit.HLT: Program("hlt; nop", {"intercept_1": 1, "v_intr_masking": 1}, otherwise=INTR),
    SvmExit.SHUTDOWN: Program("ud2", prepare=short_idt),
    SvmExit.SMI: Program(message(0x4200)),
    SvmExit.INIT: Program(message(0x4500)),
    SvmExit.VMRUN: Program("vmrun %rax; hlt", otherwise=SvmExit.INVALID),
    SvmExit.NPF: Program("mov 0x600000, %eax; hlt", prepare=unmapped_nested),
    SvmExit.INVALID: Program("hlt", {"asid": 0}),
}
"""Those whose program with the intercept off has a test of its own."""

NEVER: dict[SvmExit, str] = {
    SvmExit.EXCP_NMI: "an NMI is no exception: INTERCEPT_NMI is what leaves the guest",
    SvmExit.EXCP_9: "the vector is no exception any more",
    SvmExit.EXCP_15: "no exception",
    SvmExit.EXCP_20: "no exception",
    SvmExit.EXCP_CP: "no processor here has shadow stacks",
    SvmExit.EXCP_HV: "guests with encrypted state",
    SvmExit.EXCP_VC: "guests with encrypted state",
    SvmExit.FERR_FREEZE: "there is no FERR# pin",
    SvmExit.SKINIT: "secure launches are not modelled",
    SvmExit.RDPRU: "not modelled",
    SvmExit.EFER_WRITE_TRAP: "guests with encrypted state",
    SvmExit.INVLPGB: "not modelled",
    SvmExit.INVLPGB_ILLEGAL: "not modelled",
    SvmExit.MCOMMIT: "not modelled",
    SvmExit.TLBSYNC: "not modelled",
    SvmExit.BUS_LOCK: "the threshold is not modelled",
    SvmExit.IDLE_HLT: "the intercept is not modelled",
    SvmExit.AVIC_INCOMPLETE_IPI: "AVIC is not modelled",
    SvmExit.AVIC_NOACCEL: "AVIC is not modelled",
    SvmExit.VMGEXIT: "guests with encrypted state",
    SvmExit.BUSY: "guests with encrypted state",
    SvmExit.IDLE_REQUIRED: "guests with encrypted state",
    SvmExit.INVALID_PMC: "counters are not modelled",
}
"""Codes that nothing leads to, and why."""
for _n in (1, 5, 6, 7, *range(9, 16)):
    for _first in (SvmExit.CR0_READ, SvmExit.CR0_WRITE):
        NEVER[SvmExit(_first + _n)] = "no such register: #UD comes before the intercept"
for _n in range(8, 16):
    for _first in (SvmExit.DR0_READ, SvmExit.DR0_WRITE):
        NEVER[SvmExit(_first + _n)] = "no such register: #UD comes before the intercept"
for _n in (22, 23, 24, 25, 26, 27, 31):
    NEVER[SvmExit(SvmExit.EXCP_DE + _n)] = "no exception"
for _n in range(16):
    NEVER[SvmExit(SvmExit.CR0_WRITE_TRAP + _n)] = "guests with encrypted state"

UNDEFINED: dict[str, str] = {
    "skinit": "skinit %eax",
    "rdpru": ".byte 0x0f, 0x01, 0xfd",
    "invlpgb": ".byte 0x0f, 0x01, 0xfe",
    "tlbsync": ".byte 0x0f, 0x01, 0xff",
    "mcommit": ".byte 0xf3, 0x0f, 0x01, 0xfa",
    **{f"mov-cr{n}": f".byte 0x44, 0x0f, 0x20, {0xC0 | (n & 7) << 3}" for n in range(9, 16)},
    **{f"mov-cr{n}": f".byte 0x0f, 0x20, {0xC0 | n << 3}" for n in (1, 5, 6, 7)},
    **{f"mov-to-cr{n}": f".byte 0x0f, 0x22, {0xC0 | n << 3}" for n in (1, 5, 6, 7)},
    **{f"mov-dr{n}": f".byte 0x44, 0x0f, 0x21, {0xC0 | (n & 7) << 3}" for n in range(8, 16)},
    **{f"mov-to-dr{n}": f".byte 0x44, 0x0f, 0x23, {0xC0 | (n & 7) << 3}" for n in range(8, 16)},
}
"""Instructions whose intercepts are never met: with all of them set they are undefined opcodes."""
