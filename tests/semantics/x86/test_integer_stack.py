"""Flags on the stack, frames, POP to memory, PUSHA, and loops."""

import pytest

from tests.semantics.x86.bench import AF, CF, CODE, DATA, DF, OF, PF, SF, STACK, STATUS, ZF, Bench
from worldswitch.arch.x86.exceptions import Vector

ONES = 2**64 - 1
TF, IF, IOPL, NT, RF, VM, AC, VIF, VIP, ID = (
    0x100, 0x200, 0x3000, 0x4000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000,
)  # fmt: skip


@pytest.fixture(scope="module", params=["native", "python"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """64-bit mode, level 0."""
    return Bench("long64", engine=request.param)


@pytest.fixture(scope="module")
def user() -> Bench:
    """64-bit mode, level 3."""
    return Bench("long64", cpl=3)


def test_pushf_pushes_all_but_rf_and_vm(bench: Bench) -> None:
    """64 and 16 bits."""
    after = bench.run("9c", flags=STATUS | DF | RF | ID)
    assert (after.rsp, bench.get(after.rsp)) == (STACK - 8, STATUS | DF | ID | 2)
    after = bench.run("66 9c", flags=CF | ID)
    assert (after.rsp, bench.get(after.rsp, 2)) == (STACK - 2, CF | 2)


def test_popf_at_level_0_loads_all_but_vm_and_virtual_flags(bench: Bench) -> None:
    """RF becomes zero."""
    value = STATUS | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID | 0x8028
    after = bench.run("50 9d", flags=IF | RF, rax=value)
    assert (after.rsp, after.rflags) == (STACK, STATUS | DF | IOPL | NT | AC | ID | 2)
    after = bench.run("66 50 66 9d", flags=AC | ID, rax=CF)
    assert after.rflags == AC | ID | CF | 2


@pytest.mark.parametrize(("iopl", "kept"), [(0, IF), (IOPL, 0)])
def test_popf_at_level_3_changes_if_by_iopl(user: Bench, iopl: int, kept: int) -> None:
    """IOPL never changes, IF with IOPL of 3 alone; HLT is #GP, so the frame has the flags."""
    after = user.run("6a 01 9d 9c 58 f4", flags=IF | iopl)
    assert after.rax == iopl | kept | CF | 2


def test_popf_trap_flag_traps_after_next_instruction(bench: Bench) -> None:
    """#DB behind the NOP that follows."""
    after = bench.run("50 9d 90 90", rax=TF)
    assert (after.exception, after.rip) == (Vector.DB, CODE + 3)


def test_popf_clearing_trap_flag_traps_once_more(bench: Bench) -> None:
    """TF was set when POPF began."""
    after = bench.run("6a 02 50 9d 9d 90 90", rax=TF)
    assert (after.exception, after.rip) == (Vector.DB, CODE + 5)


def test_popf_alignment_check_counts_at_once(user: Bench) -> None:
    """AC with CR0.AM at level 3."""
    for flags, vector in ((AC, Vector.AC), (0, None)):
        user.reset()
        user.raw.cr0 |= 1 << 18
        after = user.run("50 9d 8b 07", rax=flags, rdi=DATA + 1, fresh=False)
        assert after.exception == vector


def test_alignment_check_counts_for_strings_and_bit_strings(user: Bench) -> None:
    """A misaligned doubleword."""
    for code in ("a5", "ab", "0f ab 07", "8f 07", "f3 ab"):
        user.reset()
        user.raw.cr0 |= 1 << 18
        after = user.run(code, flags=AC, rsi=DATA, rdi=DATA + 2, rcx=1, fresh=False)
        assert after.exception == Vector.AC, code
        assert after.rdi == DATA + 2


def virtual8086(vme: bool) -> Bench:
    """Level 3 with 16-bit segments; `flags=VM` and `fresh=False` make it virtual-8086 mode."""
    bench = Bench("protected32", cpl=3)
    for n in range(6):
        bench.raw.seg_base[n], bench.raw.seg_limit[n], bench.raw.seg_attr[n] = 0, 0xFFFF, 0xF3
    bench.raw.cr4 |= vme
    return bench


@pytest.mark.parametrize(
    ("code", "flags", "vme", "allowed"),
    [
        ("9c", 0, False, False), ("9c", IOPL, False, True), ("66 9c", IOPL, False, True),
        ("9c", 0, True, True), ("66 9c", 0, True, False), ("50 9d", 0, False, False),
        ("50 9d", 0, True, True), ("66 50 66 9d", 0, True, False), ("50 9d", VIP, True, False),
    ],
)  # fmt: skip
def test_flags_in_virtual_8086_mode_need_iopl_or_vme(
    code: str, flags: int, vme: bool, allowed: bool
) -> None:
    """PUSHF and POPF (of IF): with VME those of 16 bits, unless an interrupt is pending."""
    after = virtual8086(vme).run(code, flags=VM | flags, rax=IF, fresh=False)
    assert (after.rip == CODE + len(bytes.fromhex(code))) == allowed
    if not allowed:
        assert (after.exception, after.error) == (Vector.GP, 0)


def test_flags_in_virtual_8086_mode_extensions_use_vif() -> None:
    """VIF stands for IF, and IOPL reads as 3."""
    bench = virtual8086(True)
    bench.run("9c", flags=VM | VIF, fresh=False)
    assert bench.get(STACK - 2, 2) == IF | IOPL | 2
    bench = virtual8086(True)
    after = bench.run("50 9d", flags=VM, rax=IF | CF, fresh=False)
    assert after.rflags & (VIF | IF | CF | IOPL) == VIF | CF


def test_lahf_and_sahf_leave_overflow(bench: Bench) -> None:
    """AH has bit 1 set."""
    after = bench.run("9f", flags=STATUS, rax=0x1_0000)
    assert after.rax == 0x1_0000 | (SF | ZF | AF | PF | CF | 2) << 8
    after = bench.run("9e", flags=OF | CF, rax=(SF | AF) << 8)
    assert after.status == OF | SF | AF


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("f8", STATUS, STATUS & ~CF), ("f9", 0, CF), ("f9", OF, OF | CF), ("f5", 0, CF),
        ("f5", STATUS, STATUS & ~CF), ("fc", DF | ZF, ZF), ("fd", ZF, DF | ZF),
    ],
)  # fmt: skip
def test_flag_instruction_changes_its_flag_alone(
    bench: Bench, code: str, before: int, after: int
) -> None:
    """CLC, STC, CMC, CLD, STD."""
    assert bench.run(code, flags=before).rflags == after | 2


def test_pop_memory_counts_popped_stack_pointer(bench: Bench) -> None:
    """POP [RSP] writes where RSP is afterwards."""
    bench.put(STACK - 16, 0x1122)
    after = bench.run("8f 04 24", rsp=STACK - 16)
    assert (after.rsp, bench.get(STACK - 8)) == (STACK - 8, 0x1122)
    bench.put(STACK - 16, 0x3344)
    bench.run("8f 44 24 10", rsp=STACK - 16)
    assert bench.get(STACK + 8) == 0x3344
    after = bench.run("66 8f c0", rsp=STACK - 16, rax=ONES)
    assert (after.rax, after.rsp) == (ONES - 0xFFFF + 0x3344, STACK - 14)


def test_pop_memory_fault_leaves_stack_pointer(bench: Bench) -> None:
    """The destination is not there."""
    after = bench.run("8f 03", rbx=1 << 40)
    assert (after.exception, after.rsp) == (Vector.PF, STACK)


def test_pop_stack_pointer_keeps_popped_value(bench: Bench) -> None:
    """POP RSP in both encodings."""
    bench.put(STACK, 0xBEEF)
    assert bench.run("8f c4").rsp == 0xBEEF
    assert bench.run("5c").rsp == 0xBEEF


def test_enter_and_leave_make_a_frame(bench: Bench) -> None:
    """Nesting levels 0, 1 and 3."""
    after = bench.run("c8 20 00 00", rbp=0x5555)
    assert (after.rbp, after.rsp) == (STACK - 8, STACK - 8 - 0x20)
    assert bench.get(STACK - 8) == 0x5555
    after = bench.run("c8 00 00 01", rbp=0x5555)
    assert (after.rsp, bench.get(STACK - 16)) == (STACK - 16, STACK - 8)
    bench.put(DATA + 56, 0xAAAA)
    bench.put(DATA + 48, 0xBBBB)
    after = bench.run("c8 08 00 23", rbp=DATA + 64)
    assert [bench.get(STACK - 8 * n) for n in (1, 2, 3, 4)] == [
        DATA + 64, 0xAAAA, 0xBBBB, STACK - 8,
    ]  # fmt: skip
    assert (after.rbp, after.rsp) == (STACK - 8, STACK - 40)
    after = bench.run("c8 20 00 00 c9", rbp=0x5555)
    assert (after.rbp, after.rsp) == (0x5555, STACK)


def test_leave_fault_leaves_stack_pointer(bench: Bench) -> None:
    """RBP points nowhere."""
    after = bench.run("c9", rbp=1 << 40)
    assert (after.exception, after.rsp, after.rbp) == (Vector.PF, STACK, 1 << 40)


def test_pusha_popa_keep_all_registers() -> None:
    """32 bits; POPA drops the stack pointer that PUSHA has pushed."""
    bench = Bench("protected32")
    values = {"rax": 1, "rcx": 2, "rdx": 3, "rbx": 4, "rbp": 5, "rsi": 6, "rdi": 7}
    after = bench.run("60", **values)
    assert after.rsp == STACK - 32
    pushed = [bench.get(STACK - 4 * n, 4) for n in range(1, 9)]
    assert pushed == [1, 2, 3, 4, STACK, 5, 6, 7]
    after = bench.run("60 31 c0 31 c9 31 d2 31 db 31 ed 31 f6 31 ff 61", **values)
    assert after.registers == {**dict.fromkeys(after.registers, 0), **values, "rsp": STACK}
    after = bench.run("66 60 66 61", **values)
    assert after.rdi == 7


@pytest.mark.parametrize("code", ["60", "61", "62 07", "27", "2f", "37", "3f", "d4 0a", "d5 0a"])
def test_legacy_instruction_in_64_bit_mode_is_undefined(bench: Bench, code: str) -> None:
    """PUSHA, POPA, BOUND, the decimal adjustments."""
    assert bench.run(code).exception == Vector.UD


@pytest.mark.parametrize(
    ("code", "rcx", "flags", "taken", "left"),
    [
        ("e2", 2, 0, True, 1), ("e2", 1, 0, False, 0), ("e2", 0, 0, True, ONES),
        ("67 e2", 0x5_0000_0001, 0, False, 0), ("67 e2", 0x5_0000_0000, 0, True, 0xFFFF_FFFF),
        ("e1", 2, ZF, True, 1), ("e1", 2, 0, False, 1), ("e1", 1, ZF, False, 0),
        ("e0", 2, 0, True, 1), ("e0", 2, ZF, False, 1), ("e0", 1, 0, False, 0),
        ("e3", 0, 0, True, 0), ("e3", 1 << 32, 0, False, 1 << 32),
        ("67 e3", 1 << 32, 0, True, 1 << 32),
    ],
)  # fmt: skip
def test_loop_counts_by_address_size(
    bench: Bench, code: str, rcx: int, flags: int, taken: bool, left: int
) -> None:
    """LOOP, LOOPE, LOOPNE, JRCXZ, JECXZ over two HLTs; flags stay."""
    after = bench.run(code + "02", rcx=rcx, flags=flags)
    length = len(bytes.fromhex(code)) + 1
    assert (after.rip, after.rcx) == (CODE + length + 2 * taken, left)
    assert after.status == flags


def test_loop_in_real_mode_counts_cx() -> None:
    """Or ECX with an address-size prefix."""
    bench = Bench("real16")
    assert bench.run("e2 02", rcx=0x7_0001).rcx == 0x7_0000
    assert bench.run("67 e2 02", rcx=0x1_0000).rcx == 0xFFFF
