"""The consistency checks of VMRUN: failing cases for each rule, and passing baselines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.guests.broken_vmcbs import BROKEN, HOST, LEGAL, Make, long_mode, real_mode
from worldswitch.arch.x86.consistency import EVERYTHING, SvmHost, all_violations, first_violation
from worldswitch.arch.x86.vmcb import SIZE, Vmcb


@pytest.mark.parametrize("make", [real_mode, long_mode])
@pytest.mark.parametrize("host", [HOST, EVERYTHING], ids=["genoa", "everything"])
def test_baseline_breaks_no_rule(make: Make, host: SvmHost) -> None:
    assert all_violations(make(), host) == []
    assert first_violation(make(), host) is None


@pytest.mark.parametrize(
    ("rule", "host", "make", "words"),
    BROKEN,
    ids=[f"{number}-{row[0]}" for number, row in enumerate(BROKEN)],
)
def test_rule_broken_alone_is_named(rule: str, host: SvmHost, make: Make, words: str) -> None:
    found = all_violations(make(), host)
    assert [violation.rule for violation in found] == [rule]
    assert words in found[0].message
    assert first_violation(make(), host) == found[0]


@pytest.mark.parametrize(("host", "make"), [row[1:] for row in LEGAL], ids=[r[0] for r in LEGAL])
def test_block_close_to_a_rule_breaks_none(host: SvmHost, make: Make) -> None:
    assert all_violations(make(), host) == []


def test_every_rule_has_a_failing_case() -> None:
    assert {row[0] for row in BROKEN} == {rule.name for rule in Vmcb.rules}


def test_block_of_zeros_breaks_three_rules() -> None:
    found = [violation.rule for violation in all_violations(bytearray(SIZE))]
    assert found == ["efer-svme", "vmrun-intercept", "asid-zero"]


def test_every_message_names_a_section() -> None:
    for rule in Vmcb.rules:
        assert rule.ref.startswith(("APM2 15.5.1", "APM2 15.16 ", "APM2 15.21", "APM2 15.25"))


@given(st.dictionaries(st.integers(0, SIZE - 1), st.integers(0, 255)), st.integers(0, 255))
def test_any_bytes_are_judged_and_printed(values: dict[int, int], rest: int) -> None:
    data = bytearray([rest]) * SIZE
    for offset, value in values.items():
        data[offset] = value
    found = all_violations(data, HOST)
    assert first_violation(Vmcb(data), HOST) == (found[0] if found else None)
    assert Vmcb.describe(data)
