# Ends with its first instruction that matters: the processor stops itself.
        larl %r9, address
        stap 0(%r9)
        llgh %r1, 0(%r9)
        lghi %r3, 0
        sigp %r3, %r1, 5
again:  j again
        .align 8
address: .quad 0
