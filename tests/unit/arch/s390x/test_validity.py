"""The entry checks of the SIE state description: one failing case for each rule, and a baseline."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.guests.broken_blocks import (
    BARE,
    BROKEN,
    GIB,
    HOST,
    OUTSIDE_SMALL,
    SMALL,
    UNINSTALLED,
    Make,
    minimal,
    ordinary,
    plain,
    secured,
)
from worldswitch.arch.s390x.models import cpu_model
from worldswitch.arch.s390x.sie_controls import (
    CpuStat,
    Eca,
    Ecd,
    Icpt,
)
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.arch.s390x.validity import (
    INPUTS,
    SieHost,
    all_violations,
    set_validity_interception,
    validity,
)


def test_baseline_breaks_no_rule() -> None:
    assert all_violations(ordinary(), HOST) == []
    assert validity(ordinary(), HOST) is None
    assert all_violations(minimal(), BARE) == []


def test_protected_baseline_breaks_no_rule() -> None:
    assert all_violations(secured(), HOST) == []
    assert validity(secured(), HOST) is None


@pytest.mark.parametrize(("rule", "code", "make", "words"), BROKEN, ids=[row[0] for row in BROKEN])
def test_rule_broken_alone_gives_its_reason(rule: str, code: int, make: Make, words: str) -> None:
    found = all_violations(make(), HOST)
    assert [(violation.rule, violation.code) for violation in found] == [(rule, code)]
    assert words in found[0].message
    report = validity(make(), HOST)
    assert report is not None
    assert (report.rule, report.code, report.message) == (rule, code, found[0].message)


@pytest.mark.parametrize(
    ("rule", "field", "bit", "code"), UNINSTALLED, ids=[row[0] for row in UNINSTALLED]
)
def test_control_without_its_facility_gives_its_reason(
    rule: str, field: str, bit: int, code: int
) -> None:
    block = minimal(**{field: bit})
    found = {violation.rule: violation for violation in all_violations(block, BARE)}
    assert found[rule].code == code
    names: Any = StateDescription.fields[field].names
    assert f": {names(bit).name} needs " in found[rule].message
    assert rule not in {violation.rule for violation in all_violations(block, HOST)}


@pytest.mark.parametrize(
    ("rule", "code", "make"), OUTSIDE_SMALL, ids=[row[0] for row in OUTSIDE_SMALL]
)
def test_designation_outside_small_storage_gives_its_reason(
    rule: str, code: int, make: Make
) -> None:
    host = replace(SMALL, prefix=0)
    assert [(v.rule, v.code) for v in all_violations(make(), host)] == [(rule, code)]


def test_every_rule_has_a_failing_case() -> None:
    tested = [row[0] for row in (*BROKEN, *UNINSTALLED, *OUTSIDE_SMALL)]
    assert sorted(tested) == sorted(rule.name for rule in StateDescription.rules)


def test_first_rule_in_order_wins() -> None:
    block = plain(sdf=1, cpuflags=0, scaol=0x1000)
    report = validity(block, HOST)
    assert report is not None and report.rule == "mode-zarch"
    assert [v.rule for v in all_violations(block, HOST)] == [
        "mode-zarch",
        "state-description-format",
        "sca-above-lowcore",
    ]


def test_format_4_without_ultravisor_is_refused() -> None:
    found = all_violations(secured(), replace(HOST, protected=False))
    assert [(v.rule, v.message) for v in found] == [
        ("state-description-format", "sdf is 0x02 (format 4), which needs an active Ultravisor")
    ]


def test_level_on_a_host_without_instruction_blocking_is_refused() -> None:
    found = all_violations(minimal(ibc=0x11), BARE)
    assert [v.message for v in found] == ["ibc is 0x011; it must be zero on this host"]


def test_storage_limits_are_ignored_when_suppressed() -> None:
    block = plain(cpuflags=CpuStat.ZARCH | CpuStat.SM, mso=3 * GIB, prefix=0x3FFFF)
    assert all_violations(block, HOST) == []


def test_low_bits_of_the_storage_limits_are_ignored() -> None:
    assert validity(plain(mso=GIB | 0xFFF, msl=2 * GIB - 0x10_0000), HOST) is None


def test_basic_sca_may_be_on_a_16_byte_boundary() -> None:
    assert validity(minimal(scaol=0x40_0010), HOST) is None
    report = validity(minimal(scaol=0x40_0008), HOST)
    assert report is not None and report.rule == "sca-alignment"
    report = validity(minimal(scaol=0x40_0FD0), HOST)
    assert report is not None and report.rule == "sca-in-page"


def test_vector_save_area_is_not_needed_when_the_host_manages_registers() -> None:
    assert validity(minimal(eca=Eca.VX, ecd=Ecd.HOSTREGMGMT), HOST) is None


@pytest.mark.parametrize(
    ("gd", "words"),
    [
        (0x10_2002, "bits 28-31 must be"),
        (0x10_2004, "bits 28-31 must be"),
        (0x10_2011, "32-byte boundary"),
        (0x1000, "below 0x2000"),
    ],
)
def test_bad_gisa_designation_is_named(gd: int, words: str) -> None:
    report = validity(minimal(gd=gd), HOST)
    assert report is not None and report.code == 0x1011 and words in report.message


def test_answer_does_not_depend_on_requests_or_guest_state() -> None:
    block = ordinary()
    block.cpuflags |= CpuStat.STOP_INT | CpuStat.IO_INT | CpuStat.WAIT | CpuStat.RETAINED
    block.gpsw.addr = 0x1234
    block.gcr[0] = 0xE0
    assert validity(block, HOST) is None


def test_answer_changes_with_the_host() -> None:
    block = minimal(eca=Eca.VX, ecd=Ecd.HOSTREGMGMT)
    assert validity(block, SieHost.of(cpu_model("z13"))) is None
    report = validity(block, SieHost.of(cpu_model("zEC12")))
    assert report is not None and report.rule == "vector-installed"
    assert "facility 129 (vector)" in report.message


def test_rules_for_format_2_read_only_the_inputs_of_the_cache() -> None:
    read: set[str] = set()

    class Watched(StateDescription):
        def __getattribute__(self, name: str) -> Any:
            if name in StateDescription.bit_fields:
                read.add(StateDescription.bit_fields[name].parent)
            elif name in StateDescription.fields or name in StateDescription.inner_fields:
                read.add(name)
            return super().__getattribute__(name)

    block = Watched(bytearray(bytes(ordinary())))
    for rule in StateDescription.rules:
        rule.test(block, HOST)
        rule.test(Watched(bytearray(bytes(minimal()))), BARE)
    assert read <= set(INPUTS)


def test_kept_answer_equals_a_fresh_one() -> None:
    for _rule, _code, make, _words in BROKEN:
        block = make()
        report = validity(block, HOST)
        first = all_violations(block, HOST)[0]
        assert report is not None
        assert (report.rule, report.message) == (first.rule, first.message)
        assert validity(bytearray(bytes(block)), HOST) == report


def test_interception_stores_the_reason_in_ipb() -> None:
    block = minimal(gd=1)
    report = validity(block, HOST)
    assert report is not None
    set_validity_interception(block, report)
    assert block.icptcode == Icpt.VALIDITY
    assert (block.ipa, block.ipb) == (0x1000, 0x1011_0000)
    assert str(report).startswith("0x1011 gisa-designation: gd is 0x00000001; the address")


@given(data=st.binary(min_size=512, max_size=512), ultravisor=st.booleans())
def test_any_bytes_are_described_and_checked(data: bytes, ultravisor: bool) -> None:
    host = replace(HOST, protected=ultravisor)
    block = bytearray(data)
    found = all_violations(block, host)
    report = validity(block, host)
    assert (report.rule if report else None) == (found[0].rule if found else None)
    assert StateDescription.describe(block)
    assert StateDescription.diff(block, bytes(512)) or not any(data)
