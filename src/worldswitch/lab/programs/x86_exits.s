# One instruction again and again that leaves a guest: `@` is replaced by it. It may use RAX, RCX,
# RDX and RDI, which are set up for it once. A byte to port 80h says that the guest is about to begin.

main:   out %al, $0x80
        mov $0x1B, %ecx                 # an MSR: the local APIC's base
        mov $0x10000000, %edi           # an address without memory
trip:   @
        inc %r11
        dec %r10
        jnz trip
        jmp finish
