"""The coverage page, made from the code."""

import re

import coverage_page
import coverage_x86
import pytest

from worldswitch.arch.s390x.opcodes import OPCODES
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.arch.x86.vmcb import VmcbControl
from worldswitch.metal.s390x.insn import ALWAYS, TABLE, Intercept
from worldswitch.metal.x86.features import MODELLED
from worldswitch.metal.x86.insn import TABLE as X86_TABLE


@pytest.fixture(scope="module")
def page() -> str:
    return coverage_page.page()


def test_opcode_list_and_table_agree_on_mnemonics() -> None:
    shared = OPCODES.keys() & TABLE.keys()
    assert len(shared) > 700
    assert {c: OPCODES[c].mnemonic for c in shared} == {c: TABLE[c].mnemonic for c in shared}


def test_page_made_has_each_instruction_once(page: str) -> None:
    for opcode in OPCODES.keys() | TABLE.keys():
        mnemonic = (TABLE.get(opcode) or OPCODES[opcode]).mnemonic
        assert page.count(f"| {mnemonic} | {opcode} |") == 1


def test_page_made_has_the_numbers_of_its_rows(page: str) -> None:
    numbers = re.search(r"^\| All \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert numbers is not None
    modelled, partial, absent = map(int, numbers.groups())
    assert modelled + partial == len(TABLE)
    assert absent == len(OPCODES.keys() - TABLE.keys())
    assert partial > 0


def test_page_made_has_each_field_of_the_state_description(page: str) -> None:
    section = page.split("### StateDescription", 1)[1].split("\n### ", 1)[0]
    for field in StateDescription.fields.values():
        assert f"| {field.offset:03X} | {field.name}" in section
    assert re.search(r"\| icptcode \|.*metal, hypervisor \| modelled \|", section)


def test_page_made_has_each_field_of_the_vmcb(page: str) -> None:
    section = page.split("### VmcbControl", 1)[1].split("\n### ", 1)[0]
    for field in VmcbControl.fields.values():
        assert f"| {field.offset:03X} | {field.name}" in section
    assert re.search(r"\| asid \|.*\| (checked|modelled) \|", section)


def test_page_made_has_interceptions_with_handlers(page: str) -> None:
    assert re.search(r"\| INST 04 \| modelled \| `exit_instruction` \|", page)
    assert re.search(r"\| PV_PREF 70 \| modelled \|", page)


def test_page_made_has_each_encoding_and_feature_of_x86(page: str) -> None:
    for item in X86_TABLE:
        assert f"| {item.mnemonic} | `{item.encoding.text}` |" in page
    for name in MODELLED:
        assert re.search(rf"^\| {name} \| [0-9A-F.]+ E.X\[\d+\] \|.*\| modelled \|$", page, re.M)
    assert re.search(r"^\| RDPMC \|.*\| partial \|$", page, re.M)
    assert re.search(r"\| avx512f \| absent \|$", page, re.M)


def test_remark_ends_with_its_sentence_or_comment() -> None:
    lines = ['    """RDPMC. UNMODELLED: the counters, which', "    read as zero. More.", "    x"]
    assert coverage_x86.remark(lines) == "the counters, which read as zero. More"
    lines = ["    # UNMODELLED: an SMI that", "    # waits", "    pass"]
    assert coverage_x86.remark(lines) == "an SMI that waits"


def test_tables_made_have_as_many_cells_as_heads(page: str) -> None:
    width = 0
    for line in page.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert width in (0, cells), line
        width = cells


@pytest.mark.parametrize(
    ("intercept", "text"),
    [
        (None, ""),
        (ALWAYS, "always"),
        (Intercept("ictl", 0x0040_0000), "if ictl.LPSW"),
        (Intercept("eca", 0x1000_0000, when=False), "unless eca.SIGPI"),
        (Intercept("fac", 0x7FFF_FFF8, when=False), "unless fac"),
    ],
)
def test_interception_described_names_the_control(intercept: Intercept | None, text: str) -> None:
    assert coverage_page.interception(intercept) == text
