"""Virtual local APICs: registers, priorities, messages between them, and their timer."""

from collections.abc import Callable

import pytest

from worldswitch.arch.x86.apic import (
    DEFAULT_BASE,
    ApicBase,
    ApicRegister,
    DeliveryMode,
    Esr,
    Icr,
    Lvt,
    Svr,
    x2apic_msr,
)
from worldswitch.hypervisor.x86.apic_bus import ApicBus
from worldswitch.hypervisor.x86.events import (
    ExternalInterrupt,
    GuestException,
    Init,
    NonMaskable,
    Startup,
    X86Event,
)
from worldswitch.hypervisor.x86.lapic import ApicOptions, LocalApic

R = ApicRegister
MODES = int(ApicBase.AE | ApicBase.EXTD)
X2APIC = DEFAULT_BASE | MODES
TSC_HZ, APIC_HZ = 3_000_000, 1_000_000
BOTH = pytest.mark.parametrize("x2apic", [False, True], ids=["xapic", "x2apic"])


class Owner:
    """What an APIC tells its processor."""

    def __init__(self) -> None:
        self.events: list[X86Event] = []
        self.changes = 0
        self.alarms = 0

    def interrupts_changed(self) -> None:
        """Count it."""
        self.changes += 1

    def timer_changed(self) -> None:
        """Count it."""
        self.alarms += 1

    def signal(self, event: X86Event) -> None:
        """Keep it."""
        self.events.append(event)


class Apics:
    """Several APICs on a bus, software-enabled, and a clock."""

    def __init__(
        self,
        count: int = 1,
        x2apic: bool = False,
        enabled: bool = True,
        deadline: bool = True,
        has_x2apic: bool = True,
    ) -> None:
        self.time = 10_000
        self.bus = ApicBus()
        self.owners = [Owner() for _ in range(count)]
        options = ApicOptions(has_x2apic, deadline, TSC_HZ, APIC_HZ)
        self.all = [
            LocalApic(n, self.bus, owner, lambda: self.time, options)
            for n, owner in enumerate(self.owners)
        ]
        for apic in self.all:
            if x2apic:
                apic.set_base(apic.base | MODES)
            if enabled:
                apic.write_svr(int(Svr.ASE) | 0xFF)
        self.apic, self.owner = self.all[0], self.owners[0]
        self.x2apic = x2apic

    def icr(self, command: int, destination: int = 0, source: int = 0) -> None:
        """Have one of them send."""
        apic = self.all[source]
        if self.x2apic:
            apic.msr_write(x2apic_msr(R.ICR_LOW), destination << 32 | command)
        else:
            apic.write(R.ICR_HIGH, destination << 24)
            apic.write(R.ICR_LOW, command)

    def got(self, vector: int) -> list[int]:
        """The numbers of those that have a vector pending."""
        return [apic.number for apic in self.all if apic.irr >> vector & 1]


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(GuestException) as caught:
        call()
    assert caught.value.event.vector == 13


# Registers.


def test_registers_after_reset() -> None:
    apic = Apics(enabled=False).apic
    assert apic.base == DEFAULT_BASE | ApicBase.AE | ApicBase.BSC
    values = {
        R.ID: 0, R.VERSION: 0x5_0010, R.TPR: 0, R.PPR: 0, R.LDR: 0, R.DFR: 0xFFFF_FFFF,
        R.SVR: 0xFF, R.ESR: 0, R.ICR_LOW: 0, R.ICR_HIGH: 0, R.LVT_TIMER: 0x1_0000,
        R.LVT_THERMAL: 0x1_0000, R.LVT_PERFORMANCE: 0x1_0000, R.LVT_LINT0: 0x1_0000,
        R.LVT_LINT1: 0x1_0000, R.LVT_ERROR: 0x1_0000, R.TIMER_INITIAL_COUNT: 0,
        R.TIMER_CURRENT_COUNT: 0, R.TIMER_DIVIDE: 0, R.EOI: 0, R.APR: 0, R.REMOTE_READ: 0,
    }  # fmt: skip
    for offset, value in values.items():
        assert apic.read(offset) == value, offset.name
    assert not apic.irr | apic.isr | apic.tmr


def test_second_apic_has_its_number_and_is_not_the_first() -> None:
    apic = Apics(2).all[1]
    assert apic.read(R.ID) == 1 << 24
    assert not apic.base & ApicBase.BSC


def test_registers_keep_the_bits_that_can_be_written() -> None:
    apic = Apics().apic
    written = {
        R.ID: 0xFF00_0000, R.TPR: 0xFF, R.LDR: 0xFF00_0000, R.DFR: 0xFFFF_FFFF,
        R.SVR: 0x3FF, R.LVT_TIMER: 0x7_00FF, R.LVT_LINT0: 0x1_A7FF, R.LVT_LINT1: 0x1_A7FF,
        R.LVT_THERMAL: 0x1_07FF, R.LVT_ERROR: 0x1_00FF, R.TIMER_DIVIDE: 0xB,
    }  # fmt: skip
    for offset, value in written.items():
        apic.write(offset, 0xFFFF_FFFF)
        assert apic.read(offset) == value, offset.name
    apic.write(R.DFR, 0)
    assert apic.read(R.DFR) == 0x0FFF_FFFF
    apic.write(R.VERSION, 0)
    assert apic.read(R.VERSION) == 0x5_0010


def test_bitmaps_are_eight_registers_each() -> None:
    apic = Apics().apic
    apic.irr, apic.isr, apic.tmr = 1 << 0x51, 1 << 0xFF, 1 << 0x20
    assert apic.read(R.IRR + 0x20) == 1 << 0x11
    assert apic.read(R.ISR + 0x70) == 1 << 31
    assert apic.read(R.TMR + 0x10) == 1
    apic.write(R.IRR + 0x20, 0)
    assert apic.irr == 1 << 0x51


def test_page_is_read_in_any_size_and_written_in_whole_registers() -> None:
    apic = Apics().apic
    apic.write(R.LVT_LINT0, 0x1_0735)
    address = DEFAULT_BASE + R.LVT_LINT0
    assert apic.at(address)
    assert not apic.at(DEFAULT_BASE + 0x1000)
    assert apic.mmio_read(address, 4) == 0x1_0735
    assert apic.mmio_read(address, 8) == 0x1_0735
    assert apic.mmio_read(address + 1, 1) == 0x07
    assert apic.mmio_read(address + 4, 4) == 0
    for offset, size in ((0, 1), (0, 2), (4, 4), (1, 4)):
        apic.mmio_write(address + offset, size, 0x99)
        assert apic.mmio_read(address, 4) == 0x1_0735
    apic.mmio_write(address, 8, 0x5_0000_0044)
    assert apic.mmio_read(address, 4) == 0x44


def test_register_that_is_not_there_is_an_error() -> None:
    apics = Apics()
    apics.apic.write(R.LVT_ERROR, 0x33)
    assert apics.apic.read(0x3F0) == 0
    assert apics.got(0x33) == [0]
    apics.apic.write(0x010, 0)
    apics.apic.write(R.ESR, 0)
    assert apics.apic.read(R.ESR) == Esr.ILLEGAL_REGISTER
    apics.apic.write(R.ESR, 0)
    assert apics.apic.read(R.ESR) == 0


# Modes.


def test_modes_follow_each_other_as_they_may() -> None:
    for first, second, legal in (
        (ApicBase.AE, MODES, True),
        (MODES, 0, True),
        (0, ApicBase.AE, True),
        (ApicBase.AE, 0, True),
        (MODES, ApicBase.AE, False),
        (0, MODES, False),
        (0, ApicBase.EXTD, False),
        (ApicBase.AE, ApicBase.EXTD, False),
        (MODES, ApicBase.EXTD, False),
    ):
        apic = Apics().apic
        if first != ApicBase.AE:
            apic.set_base(DEFAULT_BASE | int(first))
        value = DEFAULT_BASE | int(second)
        if legal:
            apic.set_base(value)
            assert apic.base == value
            assert (apic.enabled, apic.x2apic) == (bool(second & ApicBase.AE), second == MODES)
        else:
            refused(lambda apic=apic, value=value: apic.set_base(value))


def test_reserved_bits_of_the_base_are_refused() -> None:
    refused(lambda: Apics().apic.set_base(DEFAULT_BASE | 1))
    refused(lambda: Apics().apic.set_base(1 << 52 | MODES))
    refused(lambda: Apics(has_x2apic=False).apic.set_base(X2APIC))


def test_disabling_forgets_what_was_set() -> None:
    apics = Apics()
    apics.apic.accept(0x51)
    apics.apic.set_base(0)
    assert apics.apic.irr == 0
    assert apics.apic.read(R.SVR) == 0xFF
    apics.apic.accept(0x51)
    assert apics.apic.irr == 0
    assert not apics.apic.at(DEFAULT_BASE)


def test_x2apic_registers_are_msrs_and_have_no_page() -> None:
    apics = Apics(2, x2apic=True)
    apic = apics.all[1]
    assert not apic.at(DEFAULT_BASE)
    assert apic.msr_read(x2apic_msr(R.ID)) == 1
    assert apic.msr_read(x2apic_msr(R.LDR)) == 2
    apic.msr_write(x2apic_msr(R.TPR), 0x20)
    assert apic.msr_read(x2apic_msr(R.TPR)) == apic.msr_read(x2apic_msr(R.PPR)) == 0x20
    apic.msr_write(x2apic_msr(R.LVT_LINT0), 0x40)
    assert apic.msr_read(x2apic_msr(R.LVT_LINT0)) == 0x40
    assert apic.msr_read(x2apic_msr(R.IRR)) == 0
    apic.msr_write(x2apic_msr(R.SELF_IPI), 0x77)
    assert apic.irr == 1 << 0x77
    apic.accepted(0x77)
    apic.msr_write(x2apic_msr(R.EOI), 0)
    assert apic.isr == 0
    apic.msr_write(x2apic_msr(R.ESR), 0)


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (R.DFR, 0), (R.ICR_HIGH, 0), (R.ID, 0), (R.LDR, 0), (R.VERSION, 0), (R.PPR, 0),
        (R.EOI, 1), (R.ESR, 1), (R.SELF_IPI, 0x100), (R.TPR, 1 << 32), (R.ICR_LOW, 1 << 13),
        (0x010, 0), (R.ISR, 0),
    ],
)  # fmt: skip
def test_x2apic_writes_that_are_not_allowed_are_refused(offset: int, value: int) -> None:
    refused(lambda: Apics(x2apic=True).apic.msr_write(x2apic_msr(offset), value))


@pytest.mark.parametrize("offset", [R.DFR, R.EOI, R.SELF_IPI, R.ICR_HIGH, 0x010, R.IER])
def test_x2apic_reads_that_are_not_allowed_are_refused(offset: int) -> None:
    refused(lambda: Apics(x2apic=True).apic.msr_read(x2apic_msr(offset)))


def test_msrs_of_an_xapic_are_refused() -> None:
    refused(lambda: Apics().apic.msr_read(x2apic_msr(R.TPR)))
    refused(lambda: Apics().apic.msr_write(x2apic_msr(R.TPR), 0))


# Priorities.


def test_interrupts_nest_by_class() -> None:
    apic = Apics().apic
    apic.accept(0x51)
    apic.accept(0x58)
    assert apic.pending_vector() == apic.offered_vector() == 0x58
    apic.accepted(0x58)
    assert apic.read(R.PPR) == 0x50
    assert apic.pending_vector() == apic.offered_vector() == 0
    apic.accept(0x61)
    assert apic.pending_vector() == 0x61
    apic.accepted(0x61)
    apic.write(R.EOI, 0)
    assert apic.isr == 1 << 0x58
    apic.write(R.EOI, 0)
    assert apic.pending_vector() == 0x51
    apic.accepted(0x51)
    apic.write(R.EOI, 0)
    apic.write(R.EOI, 0)
    assert not apic.isr | apic.irr


def test_task_priority_holds_back_its_class_and_those_below() -> None:
    apic = Apics().apic
    apic.accept(0x51)
    apic.write(R.TPR, 0x50)
    assert apic.read(R.PPR) == 0x50
    assert apic.pending_vector() == 0
    assert apic.offered_vector() == 0x51
    apic.set_cr8(4)
    assert apic.pending_vector() == 0x51
    apic.write(R.TPR, 0x55)
    apic.isr = 1 << 0x51
    assert apic.read(R.PPR) == 0x55


def test_end_of_a_level_triggered_interrupt_is_told() -> None:
    apics = Apics()
    told: list[int] = []
    apics.bus.on_eoi = told.append
    for vector, level in ((0x51, True), (0x61, False)):
        apics.apic.accept(vector, level)
        apics.apic.accepted(vector)
        apics.apic.write(R.EOI, 0)
    assert told == [0x51]
    apics.apic.accept(0x51, True)
    apics.apic.accept(0x51)
    assert not apics.apic.tmr


def test_end_of_interrupt_without_an_io_apic_is_nobodys() -> None:
    apic = Apics().apic
    apic.accept(0x51, True)
    apic.accepted(0x51)
    apic.write(R.EOI, 0)
    assert apic.isr == 0


@pytest.mark.parametrize("vector", [0, 15])
def test_vectors_that_are_illegal_are_errors(vector: int) -> None:
    apics = Apics()
    apics.apic.accept(vector)
    apics.icr(vector)
    apics.apic.write(R.ESR, 0)
    assert apics.apic.read(R.ESR) == Esr.RECEIVED_ILLEGAL_VECTOR | Esr.SENT_ILLEGAL_VECTOR
    assert apics.apic.irr == 0


def test_software_disabled_apic_accepts_nothing_and_masks_its_table() -> None:
    apics = Apics()
    apics.apic.write(R.LVT_LINT0, 0x44)
    apics.apic.write(R.LVT_TIMER, 0x45)
    apics.apic.write(R.SVR, 0xFF)
    assert apics.apic.read(R.LVT_LINT0) == 0x1_0044
    assert apics.apic.read(R.LVT_TIMER) == 0x1_0045
    apics.apic.write(R.LVT_LINT0, 0x44)
    assert apics.apic.read(R.LVT_LINT0) == 0x1_0044
    apics.apic.accept(0x51)
    assert apics.apic.irr == 0


# Pins.


def test_pins_do_what_the_table_says() -> None:
    apics = Apics()
    apics.apic.lint(0)
    assert not apics.owner.events
    apics.apic.write(R.LVT_LINT0, 0x44)
    apics.apic.lint(0)
    assert apics.got(0x44) == [0]
    assert not apics.apic.accepts_extint
    apics.apic.virtual_wire()
    assert apics.apic.accepts_extint
    apics.apic.lint(0)
    apics.apic.lint(1)
    assert apics.owner.events == [ExternalInterrupt(), NonMaskable()]


def test_disabled_apic_of_the_first_processor_lets_intr_through() -> None:
    apics = Apics(2)
    for apic in apics.all:
        assert not apic.accepts_extint
        apic.set_base(0)
    assert [apic.accepts_extint for apic in apics.all] == [True, False]


# Messages.


@BOTH
def test_physical_destination_is_one_or_all(x2apic: bool) -> None:
    apics = Apics(4, x2apic)
    apics.icr(0x51, 2)
    assert apics.got(0x51) == [2]
    apics.icr(0x61, 0xFFFF_FFFF if x2apic else 0xFF)
    assert apics.got(0x61) == [0, 1, 2, 3]
    apics.icr(0x71, 9)
    assert apics.got(0x71) == []


@BOTH
@pytest.mark.parametrize(
    ("shorthand", "meant"), [(1, [1]), (2, [0, 1, 2]), (3, [0, 2])]
)  # fmt: skip
def test_shorthands(x2apic: bool, shorthand: int, meant: list[int]) -> None:
    apics = Apics(3, x2apic)
    apics.icr(shorthand << 18 | 0x51, 0, source=1)
    assert apics.got(0x51) == meant


def test_flat_logical_destination_is_a_mask() -> None:
    apics = Apics(3)
    for number, apic in enumerate(apics.all):
        apic.write(R.LDR, 1 << 24 + number)
    apics.icr(int(Icr.DM) | 0x51, 0b101)
    assert apics.got(0x51) == [0, 2]
    apics.icr(int(Icr.DM) | 0x61, 0xFF)
    assert apics.got(0x61) == [0, 1, 2]


def test_cluster_logical_destination_is_a_cluster_and_a_mask() -> None:
    apics = Apics(3)
    for apic, ldr in zip(apics.all, (0x11, 0x12, 0x21), strict=True):
        apic.write(R.DFR, 0)
        apic.write(R.LDR, ldr << 24)
    apics.icr(int(Icr.DM) | 0x51, 0x13)
    assert apics.got(0x51) == [0, 1]
    apics.icr(int(Icr.DM) | 0x61, 0x23)
    assert apics.got(0x61) == [2]
    apics.icr(int(Icr.DM) | 0x71, 0xFF)
    assert apics.got(0x71) == [0, 1, 2]


def test_x2apic_logical_destination_is_a_cluster_of_sixteen() -> None:
    apics = Apics(18, x2apic=True)
    apics.icr(int(Icr.DM) | 0x51, 0b101)
    assert apics.got(0x51) == [0, 2]
    apics.icr(int(Icr.DM) | 0x61, 1 << 16 | 0b11)
    assert apics.got(0x61) == [16, 17]


def test_lowest_priority_goes_to_one() -> None:
    apics = Apics(3)
    for number, apic in enumerate(apics.all):
        apic.write(R.LDR, 1 << 24 + number)
        apic.write(R.TPR, 0x40 if number != 1 else 0x30)
    assert apics.bus.deliver(0xFF, True, DeliveryMode.LOWEST_PRIORITY, 0x51)
    assert apics.got(0x51) == [1]
    for apic in apics.all:
        apic.write(R.SVR, 0xFF)
    apics.bus.deliver(0xFF, True, DeliveryMode.LOWEST_PRIORITY, 0x61)
    assert apics.got(0x61) == []


def test_devices_message_is_level_or_edge_triggered() -> None:
    apics = Apics()
    apics.bus.deliver(0, False, DeliveryMode.FIXED, 0x51, True, True)
    apics.bus.deliver(0, False, DeliveryMode.FIXED, 0x61, True, False)
    assert apics.apic.tmr == 1 << 0x51
    assert not apics.bus.deliver(5, False, DeliveryMode.FIXED, 0x61)


@BOTH
def test_init_and_start_up_reach_other_processors(x2apic: bool) -> None:
    apics = Apics(2, x2apic)
    level, asserted = int(Icr.TGM), int(Icr.L)
    apics.icr(DeliveryMode.INIT << 8 | level | asserted, 1)
    apics.icr(DeliveryMode.INIT << 8 | level, 1)  # de-assert: nothing
    apics.icr(DeliveryMode.STARTUP << 8 | 0x9A, 1)
    apics.icr(DeliveryMode.NMI << 8, 1)
    assert apics.owners[1].events == [Init(), Startup(0x9A), NonMaskable()]
    assert not apics.owner.events


def test_messages_of_other_kinds_reach_nobody() -> None:
    apics = Apics()
    for mode in (DeliveryMode.SMI, DeliveryMode.REMOTE_READ):
        apics.icr(mode << 8 | 0x51)
    apics.bus.deliver(0, False, DeliveryMode.EXTINT, 0)
    assert apics.owner.events == [ExternalInterrupt()]
    assert apics.apic.irr == 0


def test_command_register_is_read_back_as_delivered() -> None:
    apics = Apics(2)
    apics.icr(0x51 | int(Icr.DS), 1)
    assert apics.apic.read(R.ICR_LOW) == 0x51
    assert apics.apic.read(R.ICR_HIGH) == 1 << 24


# The timer.


def timer(apics: Apics, lvt: int, divide: int, count: int) -> None:
    apics.apic.write(R.LVT_TIMER, lvt)
    apics.apic.write(R.TIMER_DIVIDE, divide)
    apics.apic.write(R.TIMER_INITIAL_COUNT, count)


@pytest.mark.parametrize(("divide", "divisor"), [(0xB, 1), (0, 2), (3, 16), (0xA, 128)])
def test_one_shot_expires_once(divide: int, divisor: int) -> None:
    apics = Apics()
    timer(apics, 0x40, divide, 100)
    period = 100 * divisor * TSC_HZ // APIC_HZ
    assert apics.apic.timer.due == 10_000 + period
    apics.time += period - 1
    apics.apic.check_timer(apics.time)
    assert apics.got(0x40) == []
    assert apics.apic.read(R.TIMER_CURRENT_COUNT) == 1
    apics.time += 1
    assert apics.apic.read(R.TIMER_CURRENT_COUNT) == 0
    apics.apic.check_timer(apics.time)
    assert apics.got(0x40) == [0]
    assert apics.apic.timer.due is None


def test_current_count_runs_down() -> None:
    apics = Apics()
    timer(apics, 0x40, 0xB, 100)
    assert apics.apic.read(R.TIMER_CURRENT_COUNT) == 100
    apics.time += 30 * 3
    assert apics.apic.read(R.TIMER_CURRENT_COUNT) == 70
    apics.apic.write(R.TIMER_DIVIDE, 0)
    assert apics.apic.read(R.TIMER_CURRENT_COUNT) == 70
    assert apics.apic.timer.due == apics.time + 70 * 2 * 3
    apics.apic.write(R.TIMER_INITIAL_COUNT, 0)
    assert apics.apic.timer.due is None
    assert apics.apic.read(R.TIMER_CURRENT_COUNT) == 0


def test_periodic_timer_keeps_its_beat_and_counts_what_was_missed_once() -> None:
    apics = Apics()
    timer(apics, 0x40 | int(Lvt.TMM), 0xB, 100)
    apics.time = 10_300
    apics.apic.check_timer(apics.time)
    assert apics.apic.timer.due == 10_600
    apics.time = 11_250
    apics.apic.check_timer(apics.time)
    assert apics.apic.timer.due == 11_500
    assert apics.got(0x40) == [0]
    assert apics.apic.read(R.TIMER_CURRENT_COUNT) == 84


def test_masked_timer_expires_without_an_interrupt() -> None:
    apics = Apics()
    timer(apics, 0x1_0040, 0xB, 100)
    apics.time = 20_000
    apics.apic.check_timer(apics.time)
    assert apics.got(0x40) == []
    assert apics.apic.timer.due is None


def test_deadline_is_a_time_of_the_guests_counter() -> None:
    apics = Apics()
    clock = apics.apic.timer
    clock.set_tsc_offset(-9_000)
    apics.apic.write(R.LVT_TIMER, 0x40 | int(Lvt.TSC_DEADLINE))
    clock.set_initial(5)
    assert clock.due is None
    clock.set_deadline(1_500)
    assert (clock.due, clock.deadline, clock.current) == (10_500, 1_500, 0)
    clock.set_tsc_offset(-9_100)
    assert clock.due == 10_600
    apics.apic.check_timer(10_600)
    assert apics.got(0x40) == [0]
    assert (clock.due, clock.deadline) == (None, 0)
    clock.set_deadline(1)
    apics.apic.check_timer(apics.time)
    assert clock.due is None
    clock.set_deadline(1_500)
    clock.set_deadline(0)
    assert clock.due is None


def test_change_of_mode_stops_the_timer() -> None:
    apics = Apics()
    timer(apics, 0x40, 0xB, 100)
    apics.apic.write(R.LVT_TIMER, 0x40 | int(Lvt.TSC_DEADLINE))
    assert apics.apic.timer.due is None
    apics.apic.timer.set_deadline(50_000)
    apics.apic.write(R.LVT_TIMER, 0x40)
    assert apics.apic.timer.due is None
    apics.apic.timer.set_deadline(50_000)
    assert apics.apic.timer.due is None


def test_timer_without_deadline_mode_does_not_enter_it() -> None:
    apics = Apics(deadline=False)
    apics.apic.write(R.LVT_TIMER, 0x40 | int(Lvt.TSC_DEADLINE))
    assert apics.apic.read(R.LVT_TIMER) == 0x40


def test_shortest_period_takes_time() -> None:
    apics = Apics()
    apics.apic.timer._tsc_hz = 1
    timer(apics, 0x40 | int(Lvt.TMM), 0xB, 1)
    apics.apic.check_timer(apics.time + 5)
    assert apics.apic.timer.due == apics.time + 6


def test_owner_is_told_of_what_changes() -> None:
    apics = Apics()
    before = apics.owner.changes
    apics.apic.accept(0x51)
    assert apics.owner.changes > before
    before = apics.owner.alarms
    timer(apics, 0x40, 0xB, 100)
    assert apics.owner.alarms > before
