# Ends with its first instruction that matters: the processor stops itself.
#
# Looks like a Linux kernel's entry: that is what is loaded in earnest, and without an ELF reader.
        j start
        .align 8
        .ascii "S390EP"
        .align 8
start:  larl %r9, address
        stap 0(%r9)
        llgh %r1, 0(%r9)
        lghi %r3, 0
        sigp %r3, %r1, 5
again:  j again
        .align 8
address: .quad 0
