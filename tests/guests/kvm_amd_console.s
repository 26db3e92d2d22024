# A program for Linux on x86-64 that has KVM run a guest and is its console: no libc.
#
# The guest's bytes to port 3F8 go to the standard output, a byte to port 501 ends the program with
# that status. A byte read from port 60 is 5A. Stores outside of the guest's memory are shown as an
# M. A step that fails ends the program with 100 and its number.

    .set KVM_CREATE_VM, 0xAE01
    .set KVM_GET_VCPU_MMAP_SIZE, 0xAE04
    .set KVM_CREATE_VCPU, 0xAE41
    .set KVM_SET_USER_MEMORY_REGION, 0x4020AE46
    .set KVM_CREATE_IRQCHIP, 0xAE60
    .set KVM_CREATE_PIT2, 0x4040AE77
    .set KVM_GET_SUPPORTED_CPUID, 0xC008AE05
    .set KVM_SET_CPUID2, 0x4008AE90
    .set KVM_RUN, 0xAE80
    .set KVM_SET_REGS, 0x4090AE82
    .set KVM_GET_SREGS, 0x8138AE83
    .set KVM_SET_SREGS, 0x4138AE84
    .set EXIT_IO, 2
    .set EXIT_MMIO, 6

    .macro sys number
    mov $\number, %eax
    syscall
    inc %r15d
    test %rax, %rax
    js failed
    .endm
    .macro ioctl file, request, argument
    mov \file, %edi
    mov $\request, %esi
    mov \argument, %rdx
    sys 16
    .endm

start:
    xor %r15d, %r15d
    lea device(%rip), %rdi
    mov $2, %esi
    sys 2                               # 1: open
    mov %eax, %r12d
    ioctl %r12d, KVM_CREATE_VM, $0      # 2
    mov %eax, %r13d
    ioctl %r13d, KVM_CREATE_IRQCHIP, $0 # 3
    lea pit(%rip), %rbx
    ioctl %r13d, KVM_CREATE_PIT2, %rbx  # 4
    xor %edi, %edi
    mov $0x20000, %esi
    mov $3, %edx
    mov $0x22, %r10d
    mov $-1, %r8
    xor %r9d, %r9d
    sys 9                               # 5: mmap of the guest's memory, and room behind it
    mov %rax, %rbx
    lea guest(%rip), %rsi
    lea 0x1000(%rbx), %rdi
    mov $guest_end - guest, %ecx
    rep movsb
    mov %rbx, region_host(%rip)
    lea region(%rip), %rbx
    ioctl %r13d, KVM_SET_USER_MEMORY_REGION, %rbx   # 6
    ioctl %r13d, KVM_CREATE_VCPU, $0    # 7
    mov %eax, %r14d
    mov region_host(%rip), %rbx
    add $0x10000, %rbx
    movq $256, (%rbx)
    ioctl %r12d, KVM_GET_SUPPORTED_CPUID, %rbx      # 8
    ioctl %r14d, KVM_SET_CPUID2, %rbx   # 9
    ioctl %r12d, KVM_GET_VCPU_MMAP_SIZE, $0         # 10
    mov %rax, %rsi
    xor %edi, %edi
    mov $3, %edx
    mov $1, %r10d
    mov %r14, %r8
    xor %r9d, %r9d
    sys 9                               # 11: mmap of the run structure
    mov %rax, %rbp
    lea sregs(%rip), %rbx
    ioctl %r14d, KVM_GET_SREGS, %rbx    # 12
    movq $0, (%rbx)                     # the base and the selector of CS
    movw $0, 12(%rbx)
    ioctl %r14d, KVM_SET_SREGS, %rbx    # 13
    lea regs(%rip), %rbx
    ioctl %r14d, KVM_SET_REGS, %rbx     # 14
run:
    mov $14, %r15d
    ioctl %r14d, KVM_RUN, $0            # 15
    mov 8(%rbp), %eax
    cmp $EXIT_IO, %eax
    je port
    cmp $EXIT_MMIO, %eax
    je memory
    lea 200(%rax), %edi
    jmp exit
port:
    mov 40(%rbp), %rsi
    add %rbp, %rsi
    movzwl 34(%rbp), %eax
    cmpb $0, 32(%rbp)
    je input
    cmp $0x3F8, %eax
    jne status
    movzbl 33(%rbp), %edx
    imul 36(%rbp), %edx
write:
    mov $1, %edi
    sys 1
    jmp run
input:
    movb $0x5A, (%rsi)
    jmp run
status:
    movzbl (%rsi), %edi
    jmp exit
memory:
    lea letter(%rip), %rsi
    mov $1, %edx
    jmp write
failed:
    lea 100(%r15), %edi
exit:
    mov $231, %eax                      # exit_group: KVM has threads of its own in the process
    syscall

device: .asciz "/dev/kvm"
letter: .ascii "M"
    .balign 8
pit: .fill 64, 1, 0
region: .long 0, 0
    .quad 0, 0x10000
region_host: .quad 0
regs: .fill 16, 8, 0
    .quad 0x1000, 2
sregs: .fill 0x138, 1, 0

# The guest, in real mode at 0:1000.
    .balign 16
    .code16
guest:
    mov $0x3F8, %dx
    mov $0x1000 + greeting - guest, %si
    mov $greeting_end - greeting, %cx
    cld
    rep outsb                           # string output
    in $0x60, %al
    cmp $0x5A, %al
    jne wrong
    mov $0x2000, %ax                    # outside of its memory
    mov %ax, %ds
    movb $1, 0
    xor %ax, %ax
    mov %ax, %ds
    xor %eax, %eax
    cpuid
    mov %ebx, 0x8000                    # the vendor
    mov %edx, 0x8004
    mov %ecx, 0x8008
    mov $0x3F8, %dx
    mov $0x8000, %si
    mov $12, %cx
    rep outsb
    mov $0x7000, %sp                    # five ticks of the timer, through the 8259
    movw $0x1000 + tick - guest, 0x20
    movw $0, 0x22
    mov $0x11, %al
    out %al, $0x20
    mov $8, %al
    out %al, $0x21
    mov $4, %al
    out %al, $0x21
    mov $1, %al
    out %al, $0x21
    mov $0xFE, %al
    out %al, $0x21
    mov $0x34, %al
    out %al, $0x43
    mov $0xFF, %al
    out %al, $0x40
    mov $0x03, %al
    out %al, $0x40
    xor %bx, %bx
    sti
wait_tick:
    hlt
    cmp $5, %bx
    jb wait_tick
    cli
    mov $0x1000 + table - guest, %bx    # protected mode, and 64-bit mode behind it
    lgdtl (%bx)
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $8, $0x1000 + protected - guest
wrong:
    mov $9, %al
    mov $0x501, %dx
    out %al, %dx
tick:
    inc %bx
    mov $'.', %al
    mov $0x3F8, %dx
    out %al, %dx
    mov $0x20, %al
    out %al, $0x20
    iret
    .code32
protected:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    movl $0x3003, 0x2000                # identity pages of the first 2 MiB
    movl $0x4003, 0x3000
    movl $0x83, 0x4000
    mov $0x2000, %eax
    mov %eax, %cr3
    mov $0x20, %eax
    mov %eax, %cr4
    mov $0xC0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    ljmp $24, $0x1000 + wide - guest
    .code64
wide:
    movabs $0x0A6B6F20676E6F6C, %rax    # "long ok" and a new line
    mov %rax, 0x8000
    mov $0x3F8, %dx
    mov $0x8000, %esi
    mov $8, %ecx
    rep outsb
    mov $1000, %ebx                     # a loop with exits to user space
again:
    in $0x60, %al
    dec %ebx
    jnz again
    mov $7, %al
    mov $0x501, %dx
    out %al, %dx
greeting: .ascii "guest: "
greeting_end:
    .balign 8
table: .word 31
    .long 0x1000 + gdt - guest
gdt: .quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF, 0x00AF9B000000FFFF
guest_end:
