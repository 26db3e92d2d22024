# A Linux program for x86-64 that has KVM run a guest in real mode and in 64-bit mode, and shows why
# KVM_RUN came back each time. Nothing of the interrupt controller is KVM's here, so HLT comes back.
#
# Each line that it prints is "KVM " and a quadword. First come the results of the system calls that
# make the machine; then, for every KVM_RUN, the exit reason and what belongs to it:
#   I/O       direction, size, port and count as they are in the structure; the data (32 bits)
#   MMIO      the address; length and, in bit 32, whether it is a write; the data of a write
#   HLT       RAX
# MMIO reads find 77. After the first HLT the virtual CPU is put into 64-bit mode; a shutdown ends
# the program.

        .set KVM_CREATE_VM, 0xAE01
        .set KVM_GET_VCPU_MMAP_SIZE, 0xAE04
        .set KVM_CREATE_VCPU, 0xAE41
        .set KVM_SET_USER_MEMORY_REGION, 0x4020AE46
        .set KVM_GET_SUPPORTED_CPUID, 0xC008AE05
        .set KVM_SET_CPUID2, 0x4008AE90
        .set KVM_RUN, 0xAE80
        .set KVM_GET_REGS, 0x8090AE81
        .set KVM_SET_REGS, 0x4090AE82
        .set KVM_GET_SREGS, 0x8138AE83
        .set KVM_SET_SREGS, 0x4138AE84
        .set EXIT_IO, 2
        .set EXIT_HLT, 5
        .set EXIT_MMIO, 6
        .set WRITE, 1
        .set OPEN, 2
        .set MMAP, 9
        .set IOCTL, 16
        .set EXIT_GROUP, 231            # KVM may have made a thread of the process

        .macro ioctl file, request, argument
        mov \file, %edi
        mov $\request, %esi
        mov \argument, %rdx
        mov $IOCTL, %eax
        syscall
        .endm

start:  lea device(%rip), %rdi
        mov $2, %esi
        mov $OPEN, %eax
        syscall
        mov %eax, %r12d                 # r12: /dev/kvm
        ioctl %r12d, KVM_CREATE_VM, $0
        call show
        mov %eax, %r13d                 # r13: the virtual machine
        xor %edi, %edi
        mov $0x20000, %esi
        mov $3, %edx
        mov $0x22, %r10d
        mov $-1, %r8
        xor %r9d, %r9d
        mov $MMAP, %eax
        syscall
        mov %rax, %rbx                  # rbx: the guest's memory, and room behind it
        lea guest(%rip), %rsi
        lea 0x1000(%rbx), %rdi
        mov $guest_end - guest, %ecx
        rep movsb
        movq $0x9003, 0x8000(%rbx)      # identity pages of the first 4 MiB
        movq $0xA003, 0x9000(%rbx)
        movq $0x83, 0xA000(%rbx)
        movq $0x200083, 0xA008(%rbx)
        mov %rbx, region_host(%rip)
        lea region(%rip), %rbp
        ioctl %r13d, KVM_SET_USER_MEMORY_REGION, %rbp
        call show
        ioctl %r13d, KVM_CREATE_VCPU, $0
        call show
        mov %eax, %r14d                 # r14: the virtual CPU
        lea 0x10000(%rbx), %rbp
        movq $256, (%rbp)
        ioctl %r12d, KVM_GET_SUPPORTED_CPUID, %rbp
        call show
        ioctl %r14d, KVM_SET_CPUID2, %rbp
        call show
        ioctl %r12d, KVM_GET_VCPU_MMAP_SIZE, $0
        mov %rax, %rsi
        xor %edi, %edi
        mov $3, %edx
        mov $1, %r10d
        mov %r14, %r8
        xor %r9d, %r9d
        mov $MMAP, %eax
        syscall
        mov %rax, %rbp                  # rbp: struct kvm_run
        lea sregs(%rip), %r15
        ioctl %r14d, KVM_GET_SREGS, %r15
        movq $0, (%r15)                 # the base and the selector of CS
        movw $0, 12(%r15)
        ioctl %r14d, KVM_SET_SREGS, %r15
        call show
        lea regs(%rip), %rdx
        ioctl %r14d, KVM_SET_REGS, %rdx
        call show

run:    ioctl %r14d, KVM_RUN, $0
        mov 8(%rbp), %eax
        call show
        cmp $EXIT_IO, %eax
        je port
        cmp $EXIT_MMIO, %eax
        je memory
        cmp $EXIT_HLT, %eax
        je halt
        xor %edi, %edi
        mov $EXIT_GROUP, %eax
        syscall

port:   mov 32(%rbp), %rax
        call show
        mov 40(%rbp), %rcx
        mov (%rbp,%rcx), %eax
        call show
        movq $0, 40(%rbp)               # where the data of MMIO are, next
        jmp run

memory: mov 32(%rbp), %rax
        call show
        mov 48(%rbp), %eax
        movzbl 52(%rbp), %ecx
        shl $32, %rcx
        or %rcx, %rax
        call show
        test %rcx, %rcx
        jz load
        mov 40(%rbp), %rax
        call show
        movq $0, 40(%rbp)               # the next one may be shorter
        jmp run
load:   movq $0x77, 40(%rbp)
        jmp run

halt:   lea regs(%rip), %rdx
        ioctl %r14d, KVM_GET_REGS, %rdx
        mov regs(%rip), %rax
        call show
        lea sregs(%rip), %r15
        cmpq $0, 264(%r15)
        jne run                         # it is in 64-bit mode already
        ioctl %r14d, KVM_GET_SREGS, %r15
        movw $0x8, 12(%r15)             # CS: selector, 64-bit code, not 32-bit
        movb $0xB, 14(%r15)
        movb $0, 17(%r15)
        movb $1, 19(%r15)
        mov $0x80000011, %eax           # CR0: PG, ET, PE
        mov %rax, 224(%r15)
        movq $0x8000, 240(%r15)
        movq $0x20, 248(%r15)           # CR4: PAE
        movq $0x500, 264(%r15)          # EFER: LMA, LME
        ioctl %r14d, KVM_SET_SREGS, %r15
        call show
        movq $0x1000 + wide - guest, regs + 128(%rip)
        lea regs(%rip), %rdx
        ioctl %r14d, KVM_SET_REGS, %rdx
        call show
        jmp run

show:   push %rax                       # prints RAX, and changes RSI, RDI, RDX, R8, R9, R11 alone
        push %rcx
        lea digits(%rip), %rdi
        mov $16, %r8d
digit:  rol $4, %rax
        mov %eax, %edx
        and $15, %edx
        lea hexadecimal(%rip), %rsi
        movb (%rsi,%rdx), %dl
        movb %dl, (%rdi)
        inc %rdi
        dec %r8d
        jnz digit
        mov $1, %edi
        lea line(%rip), %rsi
        mov $21, %edx
        mov $WRITE, %eax
        syscall
        pop %rcx
        pop %rax
        ret

device: .asciz "/dev/kvm"
hexadecimal: .ascii "0123456789ABCDEF"
line:   .ascii "KVM "
digits: .ascii "0000000000000000\n"
        .balign 8
region: .long 0, 0
        .quad 0, 0x10000
region_host: .quad 0
regs:   .fill 16, 8, 0
        .quad 0x1000, 2                 # RIP and RFLAGS
sregs:  .fill 0x138, 1, 0

# The guest begins in real mode at 0:1000. Its memory ends at 64 KiB.
        .balign 16
        .code16
guest:  mov $0x42, %al
        out %al, $0x10
        mov $0x2000, %bx
        mov %bx, %ds
        movb %al, 0x10                  # to 20010, and from 20020
        movb 0x20, %al
        out %al, $0x11
        movzbl %al, %eax
        hlt
        .code64
wide:   xor %eax, %eax                  # the sum of 1 to 100
        mov $100, %ecx
sum:    add %rcx, %rax
        loop sum
        mov %rax, 0x2000
        movabs $0x1122334455667788, %rbx
        mov %rbx, 0x200010
        mov $0x1234, %dx
        mov 0x2000, %eax
        out %eax, %dx
        mov $0xC0000080, %ecx
        rdmsr
        hlt
        ud2                             # the IDT has no gates: a shutdown
guest_end:
