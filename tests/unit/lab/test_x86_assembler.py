"""The assembler of x86 programs: addresses, syntaxes, symbols."""

import pytest

from worldswitch.lab import x86_assembler
from worldswitch.lab.x86_assembler import UnavailableError, assemble


def test_label_counts_from_the_origin_and_a_set_symbol_does_not() -> None:
    program = assemble(".set device, 0x5000\nstart: nop\nthere: mov device, %eax", 0x2000)
    assert program.origin == 0x2000
    assert program.symbols["start"] == 0x2000
    assert program.symbols["there"] == 0x2001
    assert program.symbols["device"] == 0x5000
    assert program.text == bytes.fromhex("90 8b 04 25 00 50 00 00")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (".quad there\nthere:", "0880000000000000"),
        (".long there\nthere:", "04800000"),
        (".word there, 1\nthere:", "04800100"),
        ("call there\nthere:", "e800000000"),
        (".code16\njmp there\n.org 0x10\nthere:", "eb0e" + "00" * 14),
        (".code32\nljmp $8, $there\nthere:", "ea078000000800"),
        (".intel_syntax noprefix\nmov eax, [rdx + 4]", "8b4204"),
    ],
)
def test_address_in_text_is_that_of_the_origin(source: str, text: str) -> None:
    assert assemble(source, 0x8000).text.hex() == text


def test_symbol_that_is_not_defined_is_an_error() -> None:
    with pytest.raises(ValueError, match="nowhere is not defined"):
        assemble(".quad nowhere")


def test_host_of_another_architecture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    x86_assembler._machine.cache_clear()
    monkeypatch.setattr(x86_assembler.llvm, "get_default_triple", lambda: "aarch64-linux-gnu")
    with pytest.raises(UnavailableError, match="x86-64 hosts only"):
        assemble("nop; nop; nop")
