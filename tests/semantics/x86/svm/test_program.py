"""VMRUN and its company, executed by a program: the host is a guest of nobody. ref: APM3 4"""

import pytest

from tests.semantics.x86.svm.world import (
    CODE,
    DATA,
    HANDLERS,
    HOST_CODE,
    HOST_STACK,
    NESTED_PAGES,
    RAX,
    RBX,
    RCX,
    RSP,
    VMCB,
    World,
    world,
)
from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.registers import Efer
from worldswitch.arch.x86.svm_controls import Intercept1, NestedControl, VirtExt
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.pending import PENDING_NMI


@pytest.mark.parametrize("engine", ("native", "python"))
def test_vmrun_executes_the_guest_and_goes_on_behind(engine: str) -> None:
    w = world(engine)
    w.guest("mov $5, %ebx; cpuid; hlt", intercept_1=Intercept1.CPUID)
    program = w.run_program("mov $1, %ecx; vmrun %rax; after: mov $7, %esi; hlt; end:")
    assert w.block.control.exit_code == SvmExit.CPUID
    assert w.raw.rip == program.symbols["end"]
    assert (w.gr[RAX], w.gr[RBX], w.gr[RSP], w.gr[6]) == (VMCB, 5, HOST_STACK, 7)
    assert w.raw.gif == 0


@pytest.mark.parametrize("engine", ("native", "python"))
def test_program_handles_exits_in_a_loop(engine: str) -> None:
    """A hypervisor in a dozen instructions: it counts CPUID exits until the guest halts."""
    w = world(engine)
    w.guest("mov $20, %esi; again: cpuid; dec %esi; jnz again; hlt",
            intercept_1=Intercept1.CPUID)  # fmt: skip
    w.run_program(
        f"""xor %edi, %edi
        enter: vmrun %rax
        cmpl ${SvmExit.CPUID:#x}, 0x70(%rax)
        jne out
        inc %edi
        mov 0xc8(%rax), %rbx
        mov %rbx, 0x578(%rax)
        jmp enter
        out: hlt"""
    )
    assert w.gr[7] == 20
    assert w.block.control.exit_code == SvmExit.HLT


def fault_of(w: World, source: str) -> tuple[int, int]:
    """Vector and saved RIP of the exception that a host program ends with."""
    w.run_program(source)
    vector = w.raw.rip - 1 - HANDLERS
    frame = w.gr[RSP] + (8 if vector in (8, 10, 11, 12, 13, 14, 17) else 0)
    return vector, w.get(frame)


INSTRUCTIONS = ("vmrun %rax", "vmload %rax", "vmsave %rax", "stgi", "clgi",
                "invlpga %rax, %ecx")  # fmt: skip


@pytest.mark.parametrize("source", (*INSTRUCTIONS, "vmmcall", "skinit %eax"))
def test_instruction_without_svme_is_undefined(source: str) -> None:
    w = world()
    w.guest("hlt")
    w.raw.efer &= ~Efer.SVME
    assert fault_of(w, source) == (Vector.UD, HOST_CODE)


@pytest.mark.parametrize("source", INSTRUCTIONS)
def test_instruction_at_level_3_is_refused(source: str) -> None:
    w = world()
    w.guest("hlt")
    w.raw.cpl = 3
    w.raw.seg_attr[1] |= 0x60
    w.processor.call("update_mode")
    w.gate(13, HANDLERS + 13)
    # The handler is of level 0: its stack is the TSS's.
    w.raw.seg_base[7], w.raw.seg_limit[7], w.raw.seg_attr[7] = 0x3000, 0x67, 0x8B
    vector, rip = fault_of(w, source)
    assert (vector, rip) == (Vector.GP, HOST_CODE)


@pytest.mark.parametrize("source", ("vmrun %rax", "vmload %rax", "vmsave %rax"))
@pytest.mark.parametrize("address", (VMCB + 8, 1 << 52, 0xD000_0000))
def test_bad_address_is_refused(source: str, address: int) -> None:
    w = world()
    w.guest("hlt")
    assert fault_of(w, f"movabs ${address}, %rax; {source}")[0] == Vector.GP


def test_vmmcall_in_the_host_is_undefined() -> None:
    w = world()
    w.guest("hlt")
    assert fault_of(w, "vmmcall") == (Vector.UD, HOST_CODE)


def test_interrupt_exit_is_delivered_after_stgi() -> None:
    w = world()
    w.guest("jmp .", intercept_1=Intercept1.NMI)
    w.on_port = lambda: w.processor.make_pending(PENDING_NMI)
    program = w.run_program("clgi; out %al, $1; vmrun %rax; mov 0x70(%rax), %ebx; stgi; nop; hlt")
    assert w.block.control.exit_code == SvmExit.NMI
    assert w.block.save.rip == CODE
    assert w.gr[RBX] == SvmExit.NMI
    assert w.raw.rip == HANDLERS + 3
    assert program


def test_clgi_holds_an_nmi_until_stgi() -> None:
    w = world()
    w.guest("hlt")
    w.on_port = lambda: w.processor.make_pending(PENDING_NMI)
    w.run_program("clgi; out %al, $1; inc %ebx; stgi; inc %ebx; hlt")
    assert w.raw.rip == HANDLERS + 3
    assert w.get(w.gr[RSP]) == HOST_CODE + 3 + 2 + 2 + 3


def test_guest_executes_vmrun_only_by_way_of_its_host() -> None:
    w = world()
    w.guest("vmrun %rax")
    w.run_program("vmrun %rax; hlt")
    assert w.block.control.exit_code == SvmExit.VMRUN


def test_vmload_and_vmsave_execute() -> None:
    w = world()
    w.guest("hlt")
    w.block.save.star = 0x1234
    w.run_program("vmload %rax; mov $0x39000, %eax; vmsave %rax; hlt")
    assert w.raw.star == 0x1234
    assert w.get(0x39000 + 0x400 + 0x200) == 0x1234


def test_vmload_in_a_guest_virtualized_uses_its_own_addresses() -> None:
    w = world()
    w.guest("mov $0x203000, %eax; vmload %rax; hlt", nested=True,
            virt_ext=VirtExt.VMSAVE_VMLOAD)  # fmt: skip
    w.map_small(NESTED_PAGES, DATA, 0x28000)
    w.put(0x28000 + 24, 0x60_0007)
    w.put(0x60_0000 + 0x400 + 0x200, 0x4321)
    assert w.run() == SvmExit.HLT
    assert w.raw.star == 0x4321
    w.guest("mov $0x203000, %eax; vmload %rax; hlt", nested=True,
            virt_ext=VirtExt.VMSAVE_VMLOAD)  # fmt: skip
    w.map_small(NESTED_PAGES, DATA, 0x28000)
    w.put(0x28000 + 24, 0)
    assert w.run() == SvmExit.NPF
    assert w.info[1] == 0x20_3000


def test_invlpga_executes() -> None:
    w = world()
    w.guest(f"again: mov {DATA:#x}, %eax; cpuid; jmp again", intercept_1=Intercept1.CPUID)
    w.put(DATA, 1)
    w.put(0x40_0000, 2)
    w.run_program("vmrun %rax; hlt")
    w.put(0x12008, 0x40_0087)
    w.skip()
    w.run_program("vmrun %rax; hlt")
    assert w.block.save.rax == 1
    w.skip()
    w.run_program(f"mov $1, %ecx; mov ${DATA:#x}, %eax; invlpga %rax, %ecx; mov ${VMCB}, %eax;"
                  "vmrun %rax; hlt")  # fmt: skip
    assert w.block.save.rax == 2


def test_vm_cr_disables_and_locks() -> None:
    w = world()
    w.guest("hlt")
    w.raw.efer &= ~Efer.SVME
    source = f"mov ${int(Msr.VM_CR):#x}, %ecx; mov $0x18, %eax; xor %edx, %edx; wrmsr; "
    enable = f"mov ${int(Msr.EFER):#x}, %ecx; rdmsr; or $0x1000, %eax; wrmsr; hlt"
    try:
        assert fault_of(w, source + enable)[0] == Vector.GP
        w.run_program(f"mov ${int(Msr.VM_CR):#x}, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr; hlt")
        assert w.raw.vm_cr == 0x18
    finally:
        w.raw.vm_cr = 0


def test_disabling_while_enabled_is_refused() -> None:
    w = world()
    w.guest("hlt")
    source = f"mov ${int(Msr.VM_CR):#x}, %ecx; mov $0x10, %eax; xor %edx, %edx; wrmsr; hlt"
    assert fault_of(w, source)[0] == Vector.GP


def test_init_redirected_is_a_security_exception() -> None:
    w = world()
    w.guest("hlt")
    w.raw.vm_cr = 2
    try:
        w.on_port = lambda: w.processor.make_pending(8)
        w.run_program("out %al, $1; nop; hlt")
        assert w.raw.rip == HANDLERS + 31
        assert w.get(w.gr[RSP]) == 1
    finally:
        w.raw.vm_cr = 0


def test_shutdown_not_intercepted_takes_the_processor_down() -> None:
    w = world()
    w.guest("ud2")
    w.block.control.intercept_1 = Intercept1.HLT
    w.block.save.idtr.limit = 0
    w.storage.write(HOST_CODE, bytes.fromhex("0f01d8 f4"))
    w.raw.rip, w.gr[RAX] = HOST_CODE, VMCB
    assert w.processor.run(1000) == Exit.SHUTDOWN


def test_program_in_a_slice_of_any_length_sees_the_same() -> None:
    """Where native code gives the processor back makes no difference to host and guest."""
    results = []
    for budget in (10_000, 7, 3):
        w = world()
        w.guest("mov $50, %esi; again: dec %esi; jnz again; cpuid; hlt",
                intercept_1=Intercept1.CPUID, nested_control=NestedControl.NP_ENABLE,
                nested_cr3=NESTED_PAGES)  # fmt: skip
        w.storage.write(HOST_CODE, bytes.fromhex("0f01d8 b907000000 f4"))
        w.raw.rip, w.gr[RAX] = HOST_CODE, VMCB
        for _ in range(200):
            if w.processor.run(budget) == Exit.HALT:
                break
        results.append((w.raw.rip, w.gr[RCX], w.block.save.rip, w.block.control.exit_code))
    assert results[0] == results[1] == results[2]
