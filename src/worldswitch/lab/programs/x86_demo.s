# The guest of `worldswitch demo --architecture x86`: a label is where one way out of it begins. Most
# are named after the exit code.
#
# Guest physical addresses from 0 to FFFFF are RAM but for A0000 to BFFFF, which are a video card's.
# The first GiB of linear addresses is mapped one to one. The host keeps page `absent` out of its
# tables, and `rom` read-only there, where the scene says so.
        .set scratch, 0x6000
        .set stack, 0x9000
        .set absent, 0xA000
        .set rom, 0xB000
        .set inner_vmcb, 0xC000
        .set inner_stack, 0xE000
        .set tables, 0x10000
        .set video, 0xB8000
        .set unmapped, 0x40000010

        .code64
# Instructions that the host may have asked for.
cpuid:  mov $0x80000001, %eax
        cpuid
rdtsc:  rdtsc
rdtscp: rdtscp
rdpmc:  xor %ecx, %ecx
        rdpmc
pushf:  pushfq
popf:   push $2
        popfq
iret:   iretq
swint:  int $0x80
icebp:  .byte 0xF1
hlt:    hlt
pause:  pause
invd:   invd
wbinvd: wbinvd
invlpg: invlpg absent + 4
invlpga:
        mov $absent, %eax
        mov $1, %ecx
        invlpga %rax, %ecx
invpcid:
        mov $2, %eax
        invpcid scratch, %rax
xsetbv: xor %ecx, %ecx
        xgetbv
        xsetbv
rsm:    rsm

# Ports and model-specific registers, by permission maps.
port_in:
        in $0x60, %al
port_out:
        mov $0x3F8, %dx
        mov $'A', %al
        out %al, %dx
port_ins:
        mov $0x1F0, %dx
        mov $scratch, %edi
        mov $256, %ecx
        rep insw
port_outs:
        mov $0xE9, %dx
        mov $text, %esi
        mov $5, %ecx
        rep outsb
text:   .ascii "hello"
msr_read:
        mov $0x1B, %ecx                 # the local APIC's base
        rdmsr
msr_write:
        mov $0xC0000080, %ecx           # EFER
        mov $0x1500, %eax
        xor %edx, %edx
        wrmsr

# Control, debug and descriptor-table registers.
        .irp n, 0, 2, 3, 4, 8
cr\n\()_read:
        mov %cr\n, %rdx
cr\n\()_write:
        mov %rsi, %cr\n
        .endr
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
dr\n\()_read:
        mov %dr\n, %rcx
dr\n\()_write:
        mov %rcx, %dr\n
        .endr
cr0_sel_write:
        mov %cr0, %rax
        btc $3, %eax                    # TS may change
        mov %rax, %cr0
        btc $5, %eax                    # NE may not
        mov %rax, %cr0
idtr_read:
        sidt scratch
gdtr_read:
        sgdt scratch
ldtr_read:
        sldt %eax
tr_read:
        str %eax
idtr_write:
        lidt nothing
gdtr_write:
        lgdt nothing
ldtr_write:
        lldt %ax
tr_write:
        ltr %ax

# SVM's own.
vmmcall:
        mov $1, %eax
        vmmcall
vmrun:  mov $scratch, %eax
        vmrun
vmload: mov $scratch, %eax
        vmload
vmsave: mov $scratch, %eax
        vmsave
stgi:   stgi
clgi:   clgi

# Exceptions.
excp_de:
        xor %ecx, %ecx
        div %ecx
excp_db:
        pushfq
        orl $0x100, (%rsp)              # RFLAGS.TF: a trap behind each instruction
        popfq
        nop
excp_bp:
        int3
excp_ud:
        ud2
excp_nm:
        mov %cr0, %rax
        or $8, %eax                     # CR0.TS
        mov %rax, %cr0
        fninit
excp_np:
        mov $odd - gdt, %eax            # a segment that is not present
        mov %eax, %ds
excp_ss:
        movabs $0x8000000000000000, %rsp
        push %rax
excp_gp:
        mov $0xFFF8, %eax               # beyond the GDT
        mov %eax, %ds
excp_pf:
        movb $5, unmapped
excp_mf:
        fninit
        fldcw unmasked
        fld1
        fldz
        fdivrp
        fwait
excp_ac:
        pushfq
        orl $0x40000, (%rsp)            # RFLAGS.AC
        popfq
        mov scratch + 1, %eax
excp_xf:
        ldmxcsr divisions
        xorps %xmm0, %xmm0
        divss %xmm0, %xmm0
excp_df:                                # no gate for #UD, nor for the #GP that says so
        lidt nothing
        ud2
shutdown:                               # nor for the #DF
        lidt nothing
        ud2

# Interrupts.
endless:
        jmp endless
slow:   mov $3000, %ecx
more:   dec %ecx
        jnz more
        hlt
window: sti
        nop
        nop

# Nested paging.
read:   mov absent, %eax
device: movb $'A', video
write:  movl $1, rom
fetch:  mov $absent, %eax
        jmp *%rax
walk:   mov scratch, %eax

# A hypervisor as the guest: its own guest executes CPUID, which it intercepts.
nested: mov $inner_vmcb, %ebx
        movl $0x40000, 0x0C(%rbx)       # intercepts: CPUID, VMRUN
        movl $1, 0x10(%rbx)
        movl $1, 0x58(%rbx)             # ASID
        movl $0x0A9B0008, 0x410(%rbx)   # CS: 64-bit
        movl $0x0C930010, 0x420(%rbx)   # SS
        movl $-1, 0x414(%rbx)
        movl $-1, 0x424(%rbx)
        movl $0x1500, 0x4D0(%rbx)       # EFER: SVME, LMA, LME
        mov %cr4, %rax
        mov %rax, 0x548(%rbx)
        mov %cr3, %rax
        mov %rax, 0x550(%rbx)
        mov %cr0, %rax
        mov %rax, 0x558(%rbx)
        movl $0x400, 0x560(%rbx)        # DR7, DR6
        mov $0xFFFF0FF0, %eax
        mov %rax, 0x568(%rbx)
        movl $2, 0x570(%rbx)            # RFLAGS
        movl $inner, 0x578(%rbx)
        movl $inner_stack, 0x5D8(%rbx)
        mov %rbx, %rax
        vmrun
        mov 0x70(%rbx), %rax            # EXITCODE
        vmmcall
inner:  cpuid

# What only other modes have: 32-bit code, without paging.
        .code32
excp_of:
        mov $0x7FFFFFFF, %eax
        inc %eax
        into
excp_br:
        mov $9, %eax
        bound %eax, bounds              # 1 to 8
excp_ts:                                # a task-state segment that is too short
        ljmp $(short_task - gdt), $0
task_switch:
        ljmp $(task - gdt), $0

        .balign 8
bounds: .long 1, 8
unmasked:
        .word 0x37B                     # the x87 control word: division by zero is not masked
        .balign 4
divisions:
        .long 0x1F00                    # MXCSR: invalid operations are not masked
nothing:
        .quad 0, 0                      # a descriptor table without entries

# Descriptors.
        .balign 8
gdt:    .quad 0
        .quad 0x00AF9B000000FFFF        # 08: 64-bit code
        .quad 0x00CF93000000FFFF        # 10: data
odd:    .quad 0x00CF13000000FFFF        # data that is not present
task:   .word 0x67, task_state          # a task that is available
        .byte 0, 0x89, 0, 0
short_task:
        .word 0x20, task_state
        .byte 0, 0x89, 0, 0
gdt_end:
        .balign 8
task_state:
        .space 0x68
idt:    .space 16 * 0x31
        .word handler, 8, 0x8E00, 0     # the interrupt gate of vector 31h
        .quad 0
idt_end:
handler:
        jmp handler
