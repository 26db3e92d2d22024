"""From real mode to long mode and back, as the start of an application processor does it."""

import pytest

from tests.semantics.x86.board import CS, DS, ES, SS, Board

ROUND_TRIP = """
        .code16
start:  cli
        xorw %ax, %ax
        movw %ax, %ds
        movw %ax, %ss
        movw $0x7000, %sp
        lgdtl table
        movl %cr0, %eax
        orl $1, %eax
        movl %eax, %cr0
        ljmpl $8, $wide
        .code32
wide:   movw $0x10, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        movl $0x7000, %esp
        movl $0x11111111, 0x900
        # Page tables of 1 GiB in pages of 2 MiB at 20000h.
        movl $0x21003, 0x20000
        movl $0, 0x20004
        movl $0x22003, 0x21000
        movl $0, 0x21004
        movl $0x22000, %edi
        movl $0x83, %eax
        movl $512, %ecx
fill:   movl %eax, (%edi)
        movl $0, 4(%edi)
        addl $0x200000, %eax
        addl $8, %edi
        decl %ecx
        jnz fill
        movl %cr4, %eax
        orl $0x20, %eax
        movl %eax, %cr4
        movl $0x20000, %eax
        movl %eax, %cr3
        movl $0xC0000080, %ecx
        rdmsr
        orl $0x100, %eax
        wrmsr
        movl %cr0, %eax
        orl $0x80000000, %eax
        movl %eax, %cr0
        # Compatibility mode.
        movl $0x22222222, 0x904
        ljmpl $0x18, $long
        .code64
long:   movabsq $0x3333333344444444, %rax
        movq %rax, 0x908
        movq $0x7000, %rsp
        xorl %eax, %eax
        movl %eax, %ds
        movl %eax, %ss
        leaq back(%rip), %rax
        pushq $8
        pushq %rax
        lretq
        .code32
back:   movw $0x10, %ax
        movw %ax, %ds
        movw %ax, %ss
        movl $0x55555555, 0x910
        movl %cr0, %eax
        andl $0x7fffffff, %eax
        movl %eax, %cr0
        movl $0xC0000080, %ecx
        rdmsr
        movl %eax, 0x914
        andl $~0x100, %eax
        wrmsr
        movw $0x28, %ax
        movw %ax, %ds
        movw %ax, %ss
        movw %ax, %es
        ljmpl $0x20, $narrow
        .code16
narrow: movl %cr0, %eax
        andl $~1, %eax
        movl %eax, %cr0
        ljmp $0x0800, $real - 0x8000
real:   movw $0x80, %ax
        movw %ax, %ds
        movw %ax, %es
        movl $0x66666666, 0x118 - 0
        movw %cs, 0x11c
        hlt
        .align 8
table:  .word gdt_end - gdt - 1
        .long gdt
        .align 8
gdt:    .quad 0
        .quad 0x00cf9a000000ffff    # 08: 32-bit code
        .quad 0x00cf92000000ffff    # 10: data
        .quad 0x00af9a000000ffff    # 18: 64-bit code
        .quad 0x00009a000000ffff    # 20: 16-bit code
        .quad 0x000092000000ffff    # 28: 16-bit data
gdt_end:
"""


@pytest.mark.parametrize("engine", ["native", "python"])
def test_round_trip_of_modes_each_stores_its_mark(engine: str) -> None:
    board = Board(engine)
    program = board.run(ROUND_TRIP)
    assert board.get(0x900) == 0x11111111
    assert board.get(0x904) == 0x22222222
    assert board.get(0x908, 8) == 0x3333333344444444
    assert board.get(0x910) == 0x55555555
    assert board.get(0x914) & 0x500 == 0x100, "LMA ends with paging"
    assert board.get(0x800 + 0x118) == 0x66666666
    assert board.get(0x800 + 0x11C, 2) == 0x800
    raw = board.raw
    assert (raw.seg_selector[CS], raw.seg_base[CS]) == (0x800, 0x8000)
    assert (raw.seg_base[DS], raw.seg_limit[DS]) == (0x800, 0xFFFF)
    assert raw.seg_base[ES] == 0x800 and raw.seg_selector[SS] == 0x28
    gdt = program.symbols["gdt"]
    for entry in (1, 2, 3, 4, 5):
        assert board.get(gdt + 8 * entry + 5, 1) & 1, "accessed"
