"""What the hypervisor needs of processors, and how it sets up what guest programs meet."""

from dataclasses import replace

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import DATA, MEMORY, SvmGuest
from worldswitch.arch.x86.models import cpu_model
from worldswitch.arch.x86.msrs import Msr, VmCr
from worldswitch.arch.x86.registers import Efer
from worldswitch.arch.x86.svm_controls import Clean, Intercept1
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.requests import Halt, Monitor, PortWrite
from worldswitch.hypervisor.svm.backend import SvmBackEnd
from worldswitch.hypervisor.svm.options import CLEAN_DEFAULT
from worldswitch.hypervisor.svm.processor import SvmUnavailableError
from worldswitch.hypervisor.x86.state import SegmentState
from worldswitch.metal.x86.host import Host
from worldswitch.metal.x86.processor import Complex
from worldswitch.metal.x86.storage import Storage

MILAN = cpu_model("epyc-milan")
STEPS = f"""
    1: incl {DATA}
    out %al, $0x80
    jmp 1b
"""
"""A program that asks the machine for something again and again."""


def steps(count: int, guest: SvmGuest) -> None:
    """So many of them."""
    for _ in range(count):
        assert isinstance(guest.request(), PortWrite)


# Processors.


@covers("available/no-svm", "available/asids", "available/no-npt", "available/no-nrip")
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (cpu_model("x86-64-v2"), "SVM: not available"),
        (cpu_model("epyc-milan,-svm"), "SVM: not available"),
        (replace(MILAN, asids=1), "1 ASIDs"),
        (cpu_model("epyc-milan,-npt"), "nested paging"),
        (cpu_model("epyc-milan,-nrip_save"), "next instruction"),
    ],
)
def test_processor_without_what_is_needed_is_refused(model: object, reason: str) -> None:
    with pytest.raises(SvmUnavailableError, match=reason):
        SvmGuest("jmp done", model=model)  # type: ignore[arg-type]


@covers("available/firmware")
def test_processor_whose_firmware_has_disabled_svm_is_refused_until_it_enables_it() -> None:
    storage = Storage(2 * MEMORY)
    host = Host(Complex(storage, MILAN, 1).processors[0])
    host.wrmsr(Msr.VM_CR, VmCr.SVMDIS)
    backend = SvmBackEnd()
    with pytest.raises(SvmUnavailableError, match="disabled by firmware"):
        backend.init(host)
    host.wrmsr(Msr.VM_CR, 0)
    backend.init(host)
    assert backend.processors


@covers("processor/enable", "processor/disable")
def test_svm_is_on_on_every_processor_until_cleanup() -> None:
    guest = SvmGuest(STEPS, hosts=2)
    for host in guest.hosts:
        assert host.rdmsr(Msr.EFER) & Efer.SVME
        assert host.rdmsr(Msr.VM_HSAVE_PA)
    guest.request(host=0)
    guest.request(host=1)
    assert guest.load(DATA) == 2
    guest.backend.cleanup()
    for host in guest.hosts:
        assert not host.rdmsr(Msr.EFER) & Efer.SVME
    with pytest.raises(RuntimeError, match="not taken into use"):
        guest.run()


@covers("processor/restore")
def test_program_goes_on_when_its_processor_comes_back_from_a_suspension() -> None:
    guest = SvmGuest(STEPS)
    entries = guest.watch()
    steps(3, guest)
    host, asid = guest.hosts[0], entries[-1].asid
    assert entries[-1].clean == CLEAN_DEFAULT
    guest.backend.suspend(host)
    area = host.rdmsr(Msr.VM_HSAVE_PA)
    host.wrmsr(Msr.EFER, host.rdmsr(Msr.EFER) & ~Efer.SVME)
    host.wrmsr(Msr.VM_HSAVE_PA, 0)
    guest.backend.restore(host)
    assert host.rdmsr(Msr.VM_HSAVE_PA) == area
    steps(1, guest)
    assert guest.load(DATA) == 4
    assert entries[-1].asid != asid
    assert entries[-1].clean == 0


# The permission maps.

PASSED = (0xC000_0101, 0xC000_0100, 0xC000_0102, 0xC000_0081, 0xC000_0082, 0xC000_0083,
          0xC000_0084, 0x174, 0x175, 0x176, 0x277)  # fmt: skip


@covers("vminit/msrpm-pass-through")
def test_registers_that_the_vmcb_holds_are_the_guests_without_an_exit() -> None:
    guest = SvmGuest("".join(f"mov ${msr:#x}, %ecx; rdmsr; wrmsr;" for msr in PASSED) + "jmp done")
    guest.finish()
    assert guest.exits(SvmExit.MSR) == 0


@covers("vminit/msrpm-read-only")
def test_time_and_efer_are_read_without_an_exit_and_written_with_one() -> None:
    guest = SvmGuest("""
        mov $0x10, %ecx
        rdmsr
        mov $0xc0000080, %ecx
        rdmsr
        out %al, $0x80
        wrmsr
        mov $0x10, %ecx
        wrmsr
        jmp done
    """)
    guest.request()
    assert guest.exits(SvmExit.MSR) == 0
    guest.finish()
    assert guest.counted("exit_wrmsr") == 2
    assert guest.counted("exit_rdmsr") == 0


@covers("vminit/msrpm", "vminit/msrpm-outside", "exit/rdmsr", "exit/wrmsr")
def test_other_registers_are_intercepted_whether_the_map_has_bits_for_them_or_not() -> None:
    guest = SvmGuest(f"""
        mov $0x2ff, %ecx
        mov $0xc06, %eax
        xor %edx, %edx
        wrmsr
        xor %eax, %eax
        rdmsr
        mov %eax, {DATA}
        mov $0x40000000, %ecx
        rdmsr
        mov $0xc0020000, %ecx
        rdmsr
        jmp done
        on_13: incl {DATA + 4}
        pop %eax
        addl $2, (%esp)
        iret
    """)
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (0xC06, 2)
    assert guest.exits(SvmExit.MSR) == 4


@covers("vminit/iopm")
def test_every_port_is_intercepted() -> None:
    ports = (0, 0x3F8, 0x7FFF, 0xFFFF)
    source = "".join(f"mov ${port:#x}, %dx; out %al, %dx;" for port in ports)
    guest = SvmGuest(source + "jmp done")
    guest.finish()
    assert [port for port, _, _ in guest.written] == list(ports)
    assert guest.exits(SvmExit.IOIO) == len(ports) + 1


# The VMCB.


@covers("vminit/nested-paging", "vminit/asid")
def test_program_runs_through_the_nested_tables_with_an_asid_from_its_first_entry_on() -> None:
    guest = SvmGuest(STEPS)
    control = guest.cpu.vmcb.control
    assert control.asid == 0
    assert control.nested_cr3 == guest.vm.npt.root
    entries = guest.watch()
    steps(1, guest)
    assert entries[0].asid == 1
    backing = guest.vm.memory.host_address(DATA)
    assert backing is not None
    assert guest.vm.storage.read(backing, 4) == b"\1\0\0\0"


@covers("vminit/cr-intercepts")
def test_control_registers_of_the_vmcb_are_the_guests_without_an_exit() -> None:
    guest = SvmGuest(f"""
        mov %cr0, %eax
        mov %eax, %cr0
        mov %cr2, %eax
        mov %eax, %cr2
        mov %cr3, %eax
        mov %eax, %cr3
        mov %cr4, %eax
        mov %eax, %cr4
        .byte 0x0f, 0x20, 0xe8
        jmp done
        on_6: incl {DATA}
        addl $3, (%esp)
        iret
    """)
    guest.finish()
    passed = sum(1 << n | 1 << n + 16 for n in (0, 2, 3, 4, 8))
    assert guest.cpu.vmcb.control.intercept_cr == 0xFFFF_FFFF & ~passed
    assert guest.load(DATA) == 1  # MOV from CR5, which the processor itself refuses
    assert not guest.exits(SvmExit.CR0_READ) + guest.exits(SvmExit.CR5_READ)


@covers("vminit/exceptions")
def test_exceptions_but_for_machine_checks_are_the_guests_without_an_exit() -> None:
    guest = SvmGuest(f"""
        ud2
        jmp done
        on_6: incl {DATA}
        addl $2, (%esp)
        iret
    """)
    guest.finish()
    assert guest.load(DATA) == 1
    assert guest.counted("exit_exception") == 0
    assert guest.cpu.vmcb.control.intercept_exceptions == 1 << 18


@covers("vminit/instructions", "exit/cache", "exit/rdpmc", "exit/monitor", "exit/mwait")
def test_instructions_of_the_hosts_are_intercepted() -> None:
    guest = SvmGuest(
        f"""
        invd
        xor %ecx, %ecx
        rdpmc
        mov ${DATA}, %eax
        monitor
        mwait
        jmp done
        on_13: pop %eax
        addl $2, (%esp)
        iret
        """,
        model="epyc-milan,+monitor",
    )
    assert guest.request() == Monitor(False, DATA)
    assert guest.request() == Monitor(True, 0)
    guest.finish()
    for code in (SvmExit.INVD, SvmExit.RDPMC, SvmExit.MONITOR, SvmExit.MWAIT):
        assert guest.exits(code) == 1, code


@covers("vminit/state")
def test_state_that_a_guest_begins_with() -> None:
    guest = SvmGuest(f"""
        mov $0x277, %ecx
        rdmsr
        mov %eax, {DATA}
        mov %edx, {DATA + 4}
        mov $0xc0000080, %ecx
        rdmsr
        mov %eax, {DATA + 8}
        jmp done
    """)
    control = guest.cpu.vmcb.control
    assert (control.v_intr_masking, control.virt_ext & 1) == (1, 1)
    assert guest.cpu.save.dbgctl == 1
    guest.finish()
    assert guest.load(DATA, 8) == 0x0007_0406_0007_0406
    assert guest.load(DATA + 8) == Efer.SVME


# Intercepts and clean bits.


@covers("intercept/changed", "intercept/unchanged", "capability/pause-exit", "exit/pause")
def test_pause_leaves_the_guest_from_the_moment_on_that_it_is_intercepted() -> None:
    guest = SvmGuest(f"1: incl {DATA}; pause; out %al, $0x80; jmp 1b")
    entries = guest.watch()
    steps(2, guest)
    assert guest.exits(SvmExit.PAUSE) == 0
    assert guest.backend.getcap(guest.cpu, "pause_exit") == 0
    guest.backend.setcap(guest.cpu, "pause_exit", 1)
    assert guest.backend.getcap(guest.cpu, "pause_exit") == 1
    before = len(entries)
    steps(1, guest)
    assert entries[before].clean == CLEAN_DEFAULT & ~Clean.INTERCEPTS
    assert guest.exits(SvmExit.PAUSE) == 1
    guest.backend.setcap(guest.cpu, "pause_exit", 1)
    steps(1, guest)
    assert {entry.clean for entry in entries[before + 1 :]} == {CLEAN_DEFAULT}
    assert guest.exits(SvmExit.PAUSE) == 2


@covers(
    "capability/halt-exit", "capability/unrestricted", "capability/unknown", "exit/hlt-disabled"
)
def test_halt_is_the_processors_while_it_is_not_intercepted() -> None:
    guest = SvmGuest("1: cli; hlt; jmp 1b")
    backend, cpu = guest.backend, guest.cpu
    assert isinstance(guest.request(), Halt)
    backend.setcap(cpu, "halt_exit", 0)
    backend.setreg(cpu, "rip", guest.program.symbols["done"])
    with pytest.raises(KeyError, match="no capability"):
        backend.setcap(cpu, "magic", 1)
    with pytest.raises(KeyError, match="no capability"):
        backend.getcap(cpu, "magic")
    assert backend.getcap(cpu, "unrestricted_guest") == 1
    with pytest.raises(ValueError, match="every mode"):
        backend.setcap(cpu, "unrestricted_guest", 0)
    assert not cpu.vmcb.control.intercept_1 & Intercept1.HLT


@covers("clean/default", "clean/dirty")
def test_fields_that_nobody_has_changed_are_declared_clean() -> None:
    guest = SvmGuest(STEPS)
    entries = guest.watch()
    steps(3, guest)
    assert entries[0].clean == 0
    assert {entry.clean for entry in entries[1:]} == {CLEAN_DEFAULT}
    for name, value, group in (
        ("cr2", 5, Clean.CR2), ("cr4", 0x600, Clean.CRX), ("dr7", 0x400, 0),
        ("g_pat", 0x0606_0606_0606_0606, Clean.NP),
    ):  # fmt: skip
        guest.backend.setreg(guest.cpu, name, value)
        steps(2, guest)
        assert entries[-2].clean == CLEAN_DEFAULT & ~group
        assert entries[-1].clean == CLEAN_DEFAULT
        assert guest.backend.getreg(guest.cpu, name) == value


@covers("clean/tunable")
def test_fewer_groups_may_be_declared_clean_and_never_more() -> None:
    guest = SvmGuest(STEPS, vmcb_clean=int(Clean.ASID | Clean.LBR))
    entries = guest.watch()
    steps(2, guest)
    assert entries[-1].clean == Clean.ASID


# Registers and descriptors of a program that runs.


@covers("register/general", "register/control", "register/shadow", "register/unknown")
def test_registers_are_the_programs() -> None:
    guest = SvmGuest(f"""
        mov $0x1234, %ebx
        out %al, $0x80
        mov %ebx, {DATA}
        mov %cr2, %eax
        mov %eax, {DATA + 4}
        sti
        cpuid
        jmp done
    """)
    guest.request()
    backend, cpu = guest.backend, guest.cpu
    assert backend.getreg(cpu, "rbx") == 0x1234
    backend.setreg(cpu, "rbx", 0x5678)
    backend.setreg(cpu, "cr2", 0x9000)
    with pytest.raises(KeyError, match="no register"):
        backend.getreg(cpu, "r16")
    with pytest.raises(KeyError, match="no register"):
        backend.setreg(cpu, "r16", 1)
    shadows: list[int] = []

    def hook(_cpu: object) -> None:
        shadows.append(backend.getreg(cpu, "intr_shadow"))
        backend.setreg(cpu, "intr_shadow", 0)
        shadows.append(backend.getreg(cpu, "intr_shadow"))

    guest.vm.on_exit(SvmExit.CPUID)(hook)
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (0x5678, 0x9000)
    assert shadows == [1, 0]


@covers("descriptor/segment", "descriptor/loaded", "descriptor/table")
def test_descriptors_are_the_programs() -> None:
    guest = SvmGuest(f"""
        mov $0x10, %ax
        mov %ax, %es
        out %al, $0x80
        mov %es:0, %eax
        mov %eax, {DATA}
        mov %fs:4, %eax
        mov %eax, {DATA + 4}
        sidt {DATA + 8}
        jmp done
    """)
    guest.vm.memory.write(DATA + 0x100, bytes(range(16)))
    guest.request()
    backend, cpu = guest.backend, guest.cpu
    assert backend.getdesc(cpu, "es") == SegmentState(16, 0, 0xFFFF_FFFF, 0xC93)
    for name in ("es", "fs"):
        backend.setdesc(cpu, name, SegmentState(16, DATA + 0x100, 0xFFFF, 0x493))
    backend.setdesc(cpu, "idtr", SegmentState(base=0x1234_5000, limit=0x7FF))
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (0x0302_0100, 0x0706_0504)
    assert guest.load(DATA + 8, 6) == 0x1234_5000_07FF
