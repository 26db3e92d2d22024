"""Each intercept leaves the guest with its code and information. ref: APM2 15.9, 15.12, C"""

import pytest

from tests.semantics.x86.svm.world import (
    CODE,
    DATA,
    GDT,
    IOPM,
    MSRPM,
    RAX,
    RCX,
    RDX,
    STACK,
    world,
)
from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr0, Cr4, Efer, Rflags
from worldswitch.arch.x86.svm_controls import (
    EventType,
    Intercept1,
    Intercept2,
    Intercept3,
    event,
)
from worldswitch.arch.x86.svm_exits import MOV_CR, SvmExit
from worldswitch.metal.x86.pending import PENDING_MACHINE_CHECK

PLAIN = (
    ("cpuid", Intercept1.CPUID),
    ("rdtsc", Intercept1.RDTSC),
    ("rdpmc", Intercept1.RDPMC),
    ("pushfq", Intercept1.PUSHF),
    ("popfq", Intercept1.POPF),
    ("iretq", Intercept1.IRET),
    ("invd", Intercept1.INVD),
    ("pause", Intercept1.PAUSE),
    ("hlt", Intercept1.HLT),
    ("sidt 0x200000", Intercept1.IDTR_READ),
    ("sgdt 0x200000", Intercept1.GDTR_READ),
    ("sldt %eax", Intercept1.LDTR_READ),
    ("str %eax", Intercept1.TR_READ),
    ("lidt 0x200000", Intercept1.IDTR_WRITE),
    ("lgdt 0x200000", Intercept1.GDTR_WRITE),
    ("lldt %ax", Intercept1.LDTR_WRITE),
    ("ltr %ax", Intercept1.TR_WRITE),
    ("invlpga %rax, %ecx", Intercept1.INVLPGA),
    ("vmrun %rax", Intercept2.VMRUN),
    ("vmmcall", Intercept2.VMMCALL),
    ("vmload %rax", Intercept2.VMLOAD),
    ("vmsave %rax", Intercept2.VMSAVE),
    ("stgi", Intercept2.STGI),
    ("clgi", Intercept2.CLGI),
    ("rdtscp", Intercept2.RDTSCP),
    (".byte 0xf1", Intercept2.ICEBP),
    ("wbinvd", Intercept2.WBINVD),
    ("xsetbv", Intercept2.XSETBV),
    ("invpcid 0x200000, %rax", Intercept3.INVPCID),
)
FIRST_CODE = {Intercept1: 0x60, Intercept2: 0x80, Intercept3: 0xA0}
FIELD = {Intercept1: "intercept_1", Intercept2: "intercept_2", Intercept3: "intercept_3"}


@pytest.mark.parametrize(("source", "intercept"), PLAIN, ids=[p[1].name for p in PLAIN])
def test_instruction_intercepted_exits_before_it(
    source: str, intercept: Intercept1 | Intercept2 | Intercept3
) -> None:
    w = world()
    w.guest(f"nop; {source}; after: hlt", **{FIELD[type(intercept)]: intercept}, rax=0x5000)
    code = w.run()
    assert code == FIRST_CODE[type(intercept)] + intercept.bit_length() - 1
    assert w.info == (0, 0)
    assert w.block.save.rip == CODE + 1
    assert w.block.save.rax == 0x5000
    assert w.block.save.rsp == STACK
    assert w.block.control.exit_int_info == 0
    program = w.guest(f"nop; {source}; after: hlt", **{FIELD[type(intercept)]: intercept})
    w.run()
    assert w.block.control.next_rip == program.symbols["after"]


@pytest.mark.parametrize("n", (0, 2, 3, 4, 8))
def test_mov_from_cr_intercepted_names_the_register(n: int) -> None:
    w = world()
    w.guest(f"mov %cr{n}, %rdx; hlt", intercept_cr=1 << n)
    assert w.run() == SvmExit.CR0_READ + n
    assert w.info == (MOV_CR | RDX, 0)


@pytest.mark.parametrize("n", (0, 2, 3, 4, 8))
def test_mov_to_cr_intercepted_names_the_register(n: int) -> None:
    w = world()
    w.guest(f"mov %rsi, %cr{n}; hlt", intercept_cr=1 << n + 16)
    assert w.run() == SvmExit.CR0_WRITE + n
    assert w.info == (MOV_CR | 6, 0)


def test_smsw_and_clts_intercepted_have_no_mov_bit() -> None:
    w = world()
    w.guest("smsw %eax; hlt", intercept_cr=1)
    assert w.run() == SvmExit.CR0_READ
    assert w.info == (0, 0)
    w.guest("clts; hlt", intercept_cr=1 << 16)
    assert w.run() == SvmExit.CR0_WRITE
    assert w.info == (0, 0)


def test_selective_cr0_write_lets_ts_and_mp_pass() -> None:
    w = world()
    w.guest(
        "mov %cr0, %rbx; xor $0xa, %rbx; mov %rbx, %cr0; xor $0x20, %rbx; mov %rbx, %cr0; hlt",
        intercept_1=Intercept1.CR0_SEL_WRITE,
    )
    assert w.run() == SvmExit.CR0_SEL_WRITE
    assert w.info == (MOV_CR | 3, 0)
    assert w.block.save.cr0 & Cr0.TS
    assert w.block.save.cr0 & Cr0.NE


@pytest.mark.parametrize("n", (0, 3, 6, 7))
def test_dr_intercepted_names_the_general_register(n: int) -> None:
    w = world()
    w.guest(f"mov %dr{n}, %rcx; hlt", intercept_dr=1 << n)
    assert w.run() == SvmExit.DR0_READ + n
    assert w.info == (RCX, 0)
    w.guest(f"mov %rcx, %dr{n}; hlt", intercept_dr=1 << n + 16)
    assert w.run() == SvmExit.DR0_WRITE + n
    assert w.info == (RCX, 0)


FAULTS = (
    ("ud2", Vector.UD, 0),
    ("xor %ecx, %ecx; div %ecx", Vector.DE, 0),
    ("mov $0x4000000000000000, %rax; mov (%rax), %eax", Vector.GP, 0),
    ("mov $0xfff0, %eax; mov %eax, %ds", Vector.GP, 0xFFF0),
)


@pytest.mark.parametrize(("source", "vector", "error"), FAULTS)
def test_exception_intercepted_exits_before_delivery(
    source: str, vector: Vector, error: int
) -> None:
    w = world()
    w.guest(f"{source}; hlt", intercept_exceptions=1 << vector)
    assert w.run() == SvmExit.EXCP_DE + vector
    assert w.info == (error, 0)
    assert w.block.save.rsp == STACK
    assert w.block.control.exit_int_info == 0


def test_exception_not_intercepted_goes_to_the_guest() -> None:
    w = world()
    w.guest("ud2")
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == 0x600 + Vector.UD
    assert w.get(w.block.save.rsp) == CODE


@pytest.mark.parametrize(("vector", "info"), ((Vector.PF, (0, 0x4000_0000)), (Vector.DF, (0, 0))))
def test_exception_in_a_delivery_is_intercepted_for_itself_before_it_is_a_double_fault(
    vector: Vector, info: tuple[int, int]
) -> None:
    w = world()
    w.guest("mov 0x40001000, %eax; hlt", intercept_exceptions=1 << vector)
    w.block.control.intercept_exceptions = 1 << vector
    w.block.save.idtr.base = 0x4000_0000 - 16 * Vector.PF
    if vector == Vector.PF:  # the first one is injected, as a hypervisor does it
        w.change(event_inj=event(EventType.EXCEPTION, Vector.PF, 4), cr2=0x1234)
    assert w.run() == SvmExit.EXCP_DE + vector
    assert w.info == info
    assert w.block.control.exit_int_info & 0xFF == Vector.PF


@pytest.mark.parametrize("enabled", (False, True))
def test_machine_check_is_a_shutdown_where_it_is_not_enabled(enabled: bool) -> None:
    w = world()
    w.guest("out %al, $0x80; nop; hlt")
    w.block.save.cr4 |= Cr4.MCE if enabled else 0
    w.on_port = lambda: w.processor.make_pending(PENDING_MACHINE_CHECK)
    assert w.run() == (SvmExit.HLT if enabled else SvmExit.SHUTDOWN)
    if enabled:
        assert w.block.save.rip == 0x600 + Vector.MC


def test_page_fault_intercepted_leaves_cr2_and_gives_address_and_text() -> None:
    w = world()
    program = w.guest("fault: movb $5, 0x40000010; hlt", intercept_exceptions=1 << 14, cr2=77)
    assert w.run() == SvmExit.EXCP_PF
    assert w.info == (2, 0x4000_0010)
    assert w.block.save.cr2 == 77
    length = w.block.control.insn_len
    assert length == 15
    assert w.block.control.insn_bytes[:8] == program.text[:8]


def test_breakpoint_intercepted_is_at_int3_with_next_rip() -> None:
    w = world()
    w.guest("nop; int3; hlt", intercept_exceptions=1 << 3)
    assert w.run() == SvmExit.EXCP_BP
    assert w.block.save.rip == CODE + 1
    assert w.block.control.next_rip == CODE + 2


def test_single_step_intercepted_shows_dr6() -> None:
    w = world()
    w.guest("nop; nop; hlt", intercept_exceptions=1 << 1, rflags=2 | Rflags.TF)
    assert w.run() == SvmExit.EXCP_DB
    assert w.block.save.rip == CODE + 1
    assert w.block.save.dr6 & 0x4000
    assert w.block.control.next_rip == 0


def test_software_interrupt_intercepted_gives_vector() -> None:
    w = world()
    w.guest("int $0x80; hlt", intercept_1=Intercept1.INTN)
    assert w.run() == SvmExit.SWINT
    assert w.info == (0x80, 0)
    assert w.block.control.next_rip == CODE + 2


def test_invlpg_intercepted_gives_address() -> None:
    w = world()
    w.guest("mov $0x1234567, %eax; invlpg 4(%rax); hlt", intercept_1=Intercept1.INVLPG)
    assert w.run() == SvmExit.INVLPG
    assert w.info == (0x123456B, 0)


def test_shutdown_intercepted_ends_a_triple_fault() -> None:
    w = world()
    w.guest("ud2")
    w.block.save.idtr.limit = 0
    assert w.run() == SvmExit.SHUTDOWN


@pytest.mark.parametrize(
    ("msr", "offset"), ((0x10, 0), (0xC000_0080, 0x800), (0xC001_0015, 0x1000))
)
@pytest.mark.parametrize("write", (0, 1))
def test_msr_map_decides_by_register_and_access(msr: int, offset: int, write: int) -> None:
    w = world()
    base = {0: 0, 0x800: 0xC000_0000, 0x1000: 0xC001_0000}[offset]
    bit = (msr - base) * 2 + write
    source = f"mov ${msr:#x}, %ecx; rdmsr; {'wrmsr; ' if write else ''} hlt"
    w.guest(source, intercept_1=Intercept1.MSR_PROT)
    assert w.run() == SvmExit.HLT
    w.guest(source, intercept_1=Intercept1.MSR_PROT)
    w.storage.write(MSRPM + offset + bit // 8, bytes([1 << bit % 8]))
    assert w.run() == SvmExit.MSR
    assert w.info == (write, 0)
    assert w.gr[RCX] == msr


def test_msr_outside_the_map_is_intercepted() -> None:
    w = world()
    w.guest("mov $0x40000000, %ecx; rdmsr; hlt", intercept_1=Intercept1.MSR_PROT)
    assert w.run() == SvmExit.MSR


def test_port_access_intercepted_gives_port_size_and_next_rip() -> None:
    w = world()
    for source, size, info in (
        ("in %dx, %al", 1, 0x0511), ("in %dx, %ax", 2, 0x21), ("out %eax, %dx", 4, 0x40),
    ):  # fmt: skip
        program = w.guest(
            f"mov $0x3f8, %dx; {source}; after: hlt", intercept_1=Intercept1.IOIO_PROT
        )
        w.storage.write(IOPM + (0x3F8 + size - 1) // 8, bytes([1 << (0x3F8 + size - 1) % 8]))
        assert w.run() == SvmExit.IOIO
        read = 1 if source.startswith("in") else 0
        assert w.info == (0x3F8 << 16 | size << 4 | read, program.symbols["after"]), hex(info)
        assert w.block.control.next_rip == program.symbols["after"]
        assert w.ports == []


def test_port_access_not_in_the_map_reaches_the_bus() -> None:
    w = world()
    w.guest("mov $0x3f8, %dx; in %dx, %al; hlt", intercept_1=Intercept1.IOIO_PROT)
    w.storage.write(IOPM + 0x3F8 // 8, bytes([0xFE]))
    assert w.run() == SvmExit.HLT
    assert w.block.save.rax & 0xFF == 0x5A
    assert [p[:3] for p in w.ports] == [(2, 0x3F8, 1)]


def test_string_port_access_intercepted_gives_form() -> None:
    w = world()
    w.guest(
        f"mov $0x3f8, %dx; mov ${DATA}, %esi; mov $3, %ecx; rep outsw; hlt",
        intercept_1=Intercept1.IOIO_PROT,
    )
    w.storage.write(IOPM + 0x3F8 // 8, bytes([1]))
    assert w.run() == SvmExit.IOIO
    segment = 3 << 10
    assert w.info[0] == 0x3F8 << 16 | segment | 1 << 9 | 2 << 4 | 8 | 4
    assert w.gr[RCX] == 3


def test_pause_filter_counts_down_before_it_exits() -> None:
    w = world()
    w.guest("again: inc %ebx; pause; jmp again", intercept_1=Intercept1.PAUSE,
            pause_filter_count=5)  # fmt: skip
    assert w.run() == SvmExit.PAUSE
    assert w.gr[3] == 6


def test_pause_filter_threshold_forgives_pauses_far_apart() -> None:
    w = world()
    w.guest(
        """mov $10, %esi
        outer: pause; mov $200, %ecx
        inner: dec %ecx; jnz inner
        dec %esi; jnz outer
        hlt""",
        intercept_1=Intercept1.PAUSE, pause_filter_count=3, pause_filter_threshold=100,
    )  # fmt: skip
    assert w.run() == SvmExit.HLT


def test_privilege_exception_comes_before_the_intercept() -> None:
    w = world()
    w.guest("hlt", intercept_exceptions=1 << 13, cpl=3)
    w.block.save.cs.attrib |= 0x60
    w.block.save.ss.attrib |= 0x60
    for root in (0x10000, 0x11000):
        w.put(root, w.get(root) | 4)
    assert w.run() == SvmExit.EXCP_GP
    assert w.gr[RAX] >= 0


def test_task_switch_intercepted_gives_selector_and_reason() -> None:
    w = world()
    w.guest("hlt", intercept_1=Intercept1.TASK_SWITCH, efer=Efer.SVME, cr0=0x31, cr4=0)
    w.block.save.cs.attrib = 0xC9B
    w.put(GDT + 0x20, 0x0000_8900_0000_0067 | 0x4000 << 16)
    w.storage.write(CODE, bytes.fromhex("ea000000002000 f4"))  # ljmp $0x20, $0
    assert w.run() == SvmExit.TASK_SWITCH
    assert w.info == (0x20, 1 << 38)
    assert w.block.save.rip == CODE
    assert w.block.save.tr.selector == 24
