# Round trips of VMRUN: the guest executes CPUID, which is intercepted, and the host enters it again
# behind that. The result is the number of exits that were for CPUID.

        .set vmcb, 0x300000
        .set host_save, 0x301000
        .set guest_stack, 0x310000
        .set CPUID_EXIT, 0x72

main:   mov $0x80000001, %eax
        cpuid
        test $4, %cl                    # SVM
        jz finish
        mov $0xC0000080, %ecx           # EFER.SVME
        rdmsr
        or $0x1000, %eax
        wrmsr
        mov $0xC0010117, %ecx           # VM_HSAVE_PA
        mov $host_save, %eax
        xor %edx, %edx
        wrmsr
        mov $vmcb, %ebx
        mov %ebx, %edi
        xor %eax, %eax
        mov $512, %ecx
        cld
        rep stosq
        movl $0x40000, 0x0C(%rbx)       # intercepts: CPUID, VMRUN
        movl $1, 0x10(%rbx)
        movl $0x308000, 0x40(%rbx)      # permission maps: nothing looks at them
        movl $0x30C000, 0x48(%rbx)
        movl $1, 0x58(%rbx)             # ASID
        movl $1, 0x90(%rbx)             # nested paging, by the host's own tables
        movl $tables, 0xB0(%rbx)
        mov $0x0C930010, %eax           # ES, SS, DS
        mov %eax, 0x400(%rbx)
        mov %eax, 0x420(%rbx)
        mov %eax, 0x430(%rbx)
        movl $0x0A9B0008, 0x410(%rbx)   # CS
        movl $-1, 0x404(%rbx)
        movl $-1, 0x414(%rbx)
        movl $-1, 0x424(%rbx)
        movl $-1, 0x434(%rbx)
        movl $0x1500, 0x4D0(%rbx)       # EFER: SVME, LMA, LME
        mov %cr4, %rax
        mov %rax, 0x548(%rbx)
        mov %cr3, %rax
        mov %rax, 0x550(%rbx)
        mov %cr0, %rax
        mov %rax, 0x558(%rbx)
        movl $0x400, 0x560(%rbx)        # DR7, DR6
        movl $0xFFFF0FF0, %eax
        mov %rax, 0x568(%rbx)
        movl $2, 0x570(%rbx)            # RFLAGS
        lea guest(%rip), %rax
        mov %rax, 0x578(%rbx)
        movl $guest_stack, 0x5D8(%rbx)
        movabs $0x0007040600070406, %rax
        mov %rax, 0x668(%rbx)           # PAT

trip:   mov $vmcb, %eax
        vmrun
        cmpl $CPUID_EXIT, vmcb + 0x70
        jne finish
        inc %r11
        addq $2, vmcb + 0x578           # behind CPUID
        dec %r10
        jnz trip
        jmp finish

guest:  cpuid
        jmp guest
