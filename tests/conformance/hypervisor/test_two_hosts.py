"""A guest CPU that moves between two physical processors: what is its own goes with it."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.two_hosts import PSW_64, TwoHosts
from worldswitch.hypervisor.outcome import Preempted, Wait
from worldswitch.hypervisor.sie.events import EmergencySignal, IoEvent, ServiceSignal

COUNT = """
    llilf %r1, 0x400e0
    stg %r1, 0x800(%r0)
    lctlg %c0, %c0, 0x800(%r0)
    lghi %r1, 1
    lghi %r13, 1
    sar %a5, %r1
    ldgr %f9, %r1
    lghi %r4, 0
    stg %r4, 0x800(%r0)
    lctlg %c9, %c9, 0x800(%r0)
    again:
    diag %r0, %r0, 0xf00
    aghi %r1, 1
    aghi %r13, 1
    aghi %r14, 1
    ear %r2, %a5
    ahi %r2, 1
    sar %a5, %r2
    lgdr %r3, %f9
    aghi %r3, 1
    ldgr %f9, %r3
    stctg %c9, %c9, 0x800(%r0)
    lg %r4, 0x800(%r0)
    aghi %r4, 1
    stg %r4, 0x800(%r0)
    lctlg %c9, %c9, 0x800(%r0)
    j again
"""
TABLES = """
    larl %r1, table
    llilf %r2, 0x40000
    llilf %r3, 0x41000
    llilf %r4, 0x42000
    llilf %r5, 0x8000
    larl %r6, dat
    lctlg %c1, %c1, asce-dat(%r6)
    lpswe 0(%r6)
    go:
    FIRST
    .align 8
    dat: .quad 0x0400000180000000, go
    asce: .quad 0x20000
    table: .quad 0
"""


def map_guest(guest: TwoHosts) -> None:
    """Guest tables at 0x20000 and 0x21000: identity, and page 8 at 0x41000."""
    memory = guest.vm.memory
    memory.write(0x2_0000, (0x2_1000).to_bytes(8, "big") + (0x20).to_bytes(8, "big") * 511)
    pages = [n << 12 for n in range(256)]
    pages[8] = 0x4_1000
    memory.write(0x2_1000, b"".join(page.to_bytes(8, "big") for page in pages))
    for frame, value in ((0x4_1000, 1), (0x4_2000, 2)):
        memory.write(frame, value.to_bytes(8, "big"))


@covers("hosts/registers")
def test_registers_follow_a_cpu_that_alternates_between_two_processors() -> None:
    guest = TwoHosts(COUNT)
    (cpu,) = guest.cpus
    for n in range(20):
        assert guest.asked(n % 2) == 0xF00
        assert cpu.host is guest.hosts[n % 2]
        assert (cpu.gr[1], cpu.gr[13], cpu.gr[14]) == (n + 1, n + 1, n)
        assert (cpu.registers.ar[5], cpu.registers.fr[9], cpu.sd.gcr[9]) == (n + 1, n + 1, n)
        left = guest.hosts[1 - n % 2]
        left.gr[1] = left.gr[13] = left.ar[5] = left.fr[9] = 99  # nobody's any longer


@covers("hosts/registers")
def test_two_cpus_that_change_places_keep_their_own_registers() -> None:
    guest = TwoHosts(
        COUNT + "cpu1: lghi %r1, 100\n cont: diag %r0, %r0, 0xf01\n aghi %r1, 1\n j cont", 2
    )
    for n in range(10):
        assert guest.asked(n % 2, 0) == 0xF00
        assert guest.asked(1 - n % 2, 1) == 0xF01
        assert [cpu.gr[1] for cpu in guest.cpus] == [n + 1, 100 + n]
    for n in range(10):  # both on one
        assert guest.asked(0, n % 2) == 0xF00 + n % 2


@covers("hosts/translations")
@pytest.mark.parametrize("purge", ["ptlb", "ipte %r3, %r5"])
def test_translation_purged_on_one_processor_is_not_found_on_the_other(purge: str) -> None:
    first = f"""
        lg %r7, 0(%r5)
        diag %r0, %r0, 0xf00
        lg %r7, 0(%r5)
        llilf %r3, 0x21000
        {purge}
        stg %r4, 0x40(%r3)
        diag %r0, %r0, 0xf01
        lg %r7, 0(%r5)
        diag %r0, %r0, 0xf02
    """
    guest = TwoHosts(TABLES.replace("FIRST", first))
    map_guest(guest)
    (cpu,) = guest.cpus
    for host, code, value in ((0, 0xF00, 1), (1, 0xF01, 1), (0, 0xF02, 2)):
        assert guest.asked(host) == code
        assert cpu.gr[7] == value


@covers("hosts/translations")
def test_ipte_of_one_cpu_reaches_the_other_on_its_processor() -> None:
    first = """
        diag %r0, %r0, 0xf00
        llilf %r3, 0x21000
        ipte %r3, %r5
        stg %r4, 0x40(%r3)
        diag %r0, %r0, 0xf01
    """
    text = TABLES.replace("FIRST", first)
    second = TABLES.replace("FIRST", "see: lg %r7, 0(%r5)\n diag %r0, %r0, 0xf02\n j see")
    for label in ("table", "dat", "asce", "go"):
        second = second.replace(label, f"{label}1")
    guest = TwoHosts(f"{text}\n cpu1: {second}", cpus=2)
    map_guest(guest)
    assert guest.asked(0, 0) == 0xF00
    assert (guest.asked(1, 1), guest.cpus[1].gr[7]) == (0xF02, 1)
    assert guest.asked(0, 0) == 0xF01
    assert (guest.asked(1, 1), guest.cpus[1].gr[7]) == (0xF02, 2)


@covers("hosts/translations")
def test_page_that_the_hypervisor_takes_is_gone_from_both_processors() -> None:
    text = "llilf %r2, 0x80000\n again: lg %r3, 0(%r2)\n diag %r0, %r0, 0xf00\n j again"
    guest = TwoHosts(text)
    guest.vm.memory.write(0x8_0000, (5).to_bytes(8, "big"))
    for host in (0, 1):
        assert (guest.asked(host), guest.cpus[0].gr[3]) == (0xF00, 5)
    guest.vm.gmap.discard(0x8_0000)
    for host in (1, 0):
        assert (guest.asked(host), guest.cpus[0].gr[3]) == (0xF00, 0)


@covers("hosts/clocks")
def test_clocks_go_on_from_one_processor_to_the_other() -> None:
    text = """
        again: lghi %r3, 1000
        spin: brctg %r3, spin
        stck 0x800(%r0)
        stpt 0x808(%r0)
        lg %r1, 0x800(%r0)
        lg %r2, 0x808(%r0)
        diag %r0, %r0, 0xf00
        j again
    """
    guest = TwoHosts(text)
    (cpu,) = guest.cpus
    clock, timer, host_time = 0, 1 << 63, 0
    for n in range(10):
        assert guest.asked(n % 3 % 2) == 0xF00
        assert cpu.gr[1] > clock + 1000
        assert 1000 < timer - cpu.gr[2] < 100_000 or not n
        assert guest.vm.now() > host_time
        assert len({host.stck() for host in guest.hosts}) == 1
        clock, timer, host_time = cpu.gr[1], cpu.gr[2], guest.vm.now()


@covers("hosts/clocks")
@pytest.mark.parametrize("wait", [False, True])
def test_timer_set_on_one_processor_interrupts_on_the_other(wait: bool) -> None:
    text = """
        larl %r1, cr0
        lctlg %c0, %c0, 0(%r1)
        stck 0x800(%r0)
        lg %r2, 0x800(%r0)
        agfi %r2, 2000000
        stg %r2, 0x800(%r0)
        sckc 0x800(%r0)
        diag %r0, %r0, 0xf00
        larl %r1, enabled
        lpswe 0(%r1)
        external: llgh %r4, 0x86(%r0)
        diag %r0, %r0, 0xf01
        .align 8
        cr0: .quad 0x8e0
        enabled: .quad MASK, loop
        loop: j loop
    """
    guest = TwoHosts(text.replace("MASK", "0x0102000180000000" if wait else "0x0100000180000000"))
    assert guest.asked(0) == 0xF00
    host, hosts_seen = 1, set[int]()
    for _ in range(100):
        end = guest.run(host)
        hosts_seen.add(host)
        if end == Wait():
            wake = guest.cpus[0].wake_time()
            assert wake is not None
            guest.hosts[1 - host].processor.tod = wake
        elif end != Preempted():
            break
        host = 1 - host
    assert guest.cpus[0].gr[4] == 0x1004
    assert hosts_seen == {0, 1}


@covers("hosts/interruptions")
def test_interruptions_pending_on_one_processor_are_taken_on_the_other() -> None:
    text = """
        larl %r1, controls
        lctlg %c0, %c0, 0(%r1)
        lctlg %c6, %c6, 8(%r1)
        diag %r0, %r0, 0xf00
        stosm 0x900(%r0), 3
        j .
        external: llgh %r4, 0x86(%r0)
        diag %r0, %r0, 0xf01
        lpswe 0x130(%r0)
        io: llgh %r4, 0xba(%r0)
        diag %r0, %r0, 0xf02
        lpswe 0x170(%r0)
        .align 8
        controls: .quad 0x42e0, 0x80000000
    """
    guest = TwoHosts(text.replace("j .\n", "loop: j loop\n"))
    (cpu,) = guest.cpus
    assert guest.asked(0) == 0xF00
    cpu.inject(EmergencySignal(3))
    guest.vm.inject(ServiceSignal(0x3000))
    guest.vm.inject(IoEvent(1, 7, 0, 0))
    taken = [(guest.asked(host), cpu.gr[4]) for host in (1, 0, 1)]
    assert taken == [(0xF01, 0x1201), (0xF01, 0x2401), (0xF02, 7)]
    assert cpu.psw[0] & PSW_64


@covers("hosts/interruptions")
def test_external_call_finds_a_cpu_that_has_moved() -> None:
    text = """
        lghi %r4, 1
        again: sigp %r2, %r4, 2
        ipm %r5
        diag %r0, %r0, 0xf00
        j again
        cpu1: larl %r1, cr0
        lctlg %c0, %c0, 0(%r1)
        diag %r0, %r0, 0xf01
        stosm 0x900(%r0), 1
        loop: j loop
        external: llgh %r4, 0x86(%r0)
        diag %r0, %r0, 0xf02
        lpswe 0x130(%r0)
        .align 8
        cr0: .quad 0x20e0
    """
    guest = TwoHosts(text, cpus=2)
    assert guest.asked(1, 1) == 0xF01
    for host in (0, 1):
        assert guest.asked(1 - host, 0) == 0xF00
        assert guest.cpus[0].gr[5] >> 28 & 3 == 0
        assert guest.asked(host, 1) == 0xF02
        assert guest.cpus[1].gr[4] == 0x1202
