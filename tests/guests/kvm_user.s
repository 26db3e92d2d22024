# A Linux program that creates a virtual machine through /dev/kvm and runs two stretches of a guest.
#
# It inserts /kvm.ko first. Each line that it prints is "KVM " and a doubleword: the results of its
# system calls, then for each of two runs the result of KVM_RUN, the exit reason, the interception
# (code, ipa, ipb), and what the guest stored at 0x2000 and at 0x2010.
        .equ READ_WRITE, 2
        .equ OPEN, 5
        .equ WRITE, 4
        .equ IOCTL, 54
        .equ MMAP, 90
        .equ FINIT_MODULE, 344

start:  larl %r15, stack
        larl %r2, module
        lghi %r3, 0
        lghi %r1, OPEN
        svc 0
        larl %r3, empty
        lghi %r4, 0
        lghi %r1, FINIT_MODULE
        svc 0
        bras %r14, show
        larl %r2, device
        lghi %r3, READ_WRITE
        lghi %r1, OPEN
        svc 0
        lgr %r6, %r2                    # r6: /dev/kvm
        llilf %r3, 0xAE01               # KVM_CREATE_VM
        bras %r14, ioctl
        bras %r14, show
        lgr %r7, %r2                    # r7: the virtual machine
        larl %r2, storage
        lghi %r1, MMAP
        svc 0
        llilf %r3, 0xFFFFF              # r8: guest storage, on a 1 MiB boundary
        agr %r2, %r3
        srlg %r2, %r2, 20
        sllg %r8, %r2, 20
        larl %r5, guest
        lgr %r2, %r8
        aghi %r2, 0x1000
        mvc 0(128,%r2), 0(%r5)
        larl %r4, region
        stg %r8, 24(%r4)
        lgr %r2, %r7
        llilf %r3, 0x4020AE46           # KVM_SET_USER_MEMORY_REGION
        lghi %r1, IOCTL
        svc 0
        bras %r14, show
        lgr %r2, %r7
        llilf %r3, 0xAE41               # KVM_CREATE_VCPU
        bras %r14, ioctl
        bras %r14, show
        lgr %r9, %r2                    # r9: the virtual CPU
        lgr %r2, %r6
        llilf %r3, 0xAE04               # KVM_GET_VCPU_MMAP_SIZE
        bras %r14, ioctl
        larl %r3, shared
        stg %r2, 8(%r3)
        stg %r9, 32(%r3)
        lgr %r2, %r3
        lghi %r1, MMAP
        svc 0
        lgr %r10, %r2                   # r10: struct kvm_run
        llilf %r3, 0x80000000           # PSW: 64-bit mode, at 0x1000
        llihf %r4, 1
        ogr %r3, %r4
        stg %r3, 32(%r10)
        lghi %r3, 0x1000
        stg %r3, 40(%r10)
        lghi %r12, 2
again:  lgr %r2, %r9
        llilf %r3, 0xAE80               # KVM_RUN
        bras %r14, ioctl
        bras %r14, show
        llgf %r2, 8(%r10)               # exit_reason
        bras %r14, show
        lg %r2, 48(%r10)
        bras %r14, show
        lg %r2, 0x2000(%r8)
        bras %r14, show
        lg %r2, 0x2010(%r8)
        bras %r14, show
        brctg %r12, again
        lghi %r2, 0
        lghi %r1, 1                     # exit
        svc 0

ioctl:  lghi %r4, 0
        lghi %r1, IOCTL
        svc 0
        br %r14

show:   larl %r11, digits               # prints register 2, and keeps it
        lgr %r0, %r2
        lghi %r5, 16
digit:  rllg %r0, %r0, 4
        lgr %r13, %r0
        nill %r13, 0xF
        llghr %r13, %r13
        larl %r4, hexadecimal
        ic %r4, 0(%r13,%r4)
        stc %r4, 0(%r11)
        aghi %r11, 1
        brctg %r5, digit
        lgr %r13, %r2
        lghi %r2, 1
        larl %r3, line
        lghi %r4, 21
        lghi %r1, WRITE
        svc 0
        lgr %r2, %r13
        br %r14

        .align 8
hexadecimal: .ascii "0123456789ABCDEF"
line:   .ascii "KVM "
digits: .ascii "0000000000000000"
        .byte 10
        .align 8
module: .ascii "/kvm.ko"
        .byte 0
        .align 8
device: .ascii "/dev/kvm"
        .align 8
empty:  .quad 0
storage: .quad 0, 0x200000, 3, 0x22, -1, 0      # mmap: private, anonymous
shared: .quad 0, 0, 3, 1, 0, 0                  # mmap: the virtual CPU's
region: .long 0, 0
        .quad 0, 0x100000, 0

        .align 8
guest:  lghi %r2, 0                     # the sum of 1 to 100
        lghi %r3, 100
sum:    agr %r2, %r3
        brctg %r3, sum
        lghi %r4, 0x2000
        stg %r2, 0(%r4)
        lghi %r1, 99
        diag %r2, %r3, 0x500            # for the program
        lghi %r5, 0x12
        sth %r5, 16(%r4)
        stap 18(%r4)                    # for KVM, in the kernel
        diag %r4, %r5, 0x500
        .align 8
        .space 256
stack:  .quad 0
