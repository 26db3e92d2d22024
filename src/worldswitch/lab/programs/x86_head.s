# What the benchmark's x86 programs begin with: from 32-bit protected mode without paging, as PVH
# starts a kernel, to `main` in 64-bit mode with identity pages of the first GiB.
#
# `main` calls `finish` with its result in R11: port 501h gets 0 if that is what is expected, or if
# nothing is, and 1 otherwise.

        .set tables, 0x70000
        .code32
        jmp boot
        .balign 8
rounds: .quad 1                         # patched by who loads it
expected: .quad 0                       # patched, too; 0 accepts any
result: .quad 0
gdt:    .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF
gdtr:   .word 23
        .long gdt

boot:   movl $tables + 0x1007, tables
        movl $0, tables + 4
        movl $tables + 0x2007, tables + 0x1000
        movl $0, tables + 0x1004
        mov $0x87, %eax
        xor %ecx, %ecx
fill:   mov %eax, tables + 0x2000(,%ecx,8)
        movl $0, tables + 0x2004(,%ecx,8)
        add $0x200000, %eax
        inc %ecx
        cmp $512, %ecx
        jb fill
        mov $0x220, %eax                # PAE, OSFXSR
        mov %eax, %cr4
        mov $tables, %eax
        mov %eax, %cr3
        mov $0xC0000080, %ecx
        rdmsr
        or $0x100, %eax                 # LME
        wrmsr
        mov %cr0, %eax
        and $0xFFFFFFF3, %eax           # not EM, TS
        or $0x80000001, %eax
        mov %eax, %cr0
        lgdt gdtr
        ljmp $8, $wide
        .code64
wide:   mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $0x70000, %esp
        mov rounds(%rip), %r10
        xor %r11d, %r11d
        jmp main

finish: mov %r11, result(%rip)
        xor %eax, %eax
        mov expected(%rip), %rdx
        test %rdx, %rdx
        jz good
        cmp %rdx, %r11
        je good
        inc %eax
good:   mov $0x501, %edx
        out %al, %dx
stop:   cli
        hlt
        jmp stop
