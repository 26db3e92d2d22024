# The benchmark's mixed loop: a CRC by table, a copy, and calls.
#
# Starts in 64-bit mode with DAT off. It ends by stopping the processor if the CRC is the expected
# one, and in a disabled wait otherwise. Fits below origin + 0x480, where a loader may put the
# kernel command line of an image that starts at 0x10000.

        j start
        .align 8
rounds:   .quad 1                       # patched by who loads it
expected: .quad 0                       # patched, too; 0 accepts any
result:   .quad 0
failed:   .quad 0x0002000180000000, 0xBAD
address:  .quad 0
        .equ table, 0x20000             # 256 words
        .equ buffer, 0x21000            # 256 bytes
        .equ copy, 0x22000

start:  larl %r9, rounds
        lg %r10, 0(%r9)
        lgfi %r6, table
        lgfi %r7, buffer
        lgfi %r8, copy

        lghi %r2, 0                     # the table of the reflected polynomial 0xEDB88320
        llilf %r5, 0xEDB88320
entry:  lgr %r3, %r2
        lghi %r4, 8
bit:    lgr %r0, %r3
        srlg %r3, %r3, 1
        tmll %r0, 1
        jz even
        xgr %r3, %r5
even:   brctg %r4, bit
        sllg %r1, %r2, 2
        st %r3, 0(%r1,%r6)
        stc %r2, 0(%r2,%r7)             # and the buffer: 0 to 255
        aghi %r2, 1
        cghi %r2, 256
        jl entry

        llilf %r11, 0xFFFFFFFF          # the CRC
round:  lghi %r2, 0                     # 256 bytes of CRC
        lghi %r3, 256
byte:   llgc %r4, 0(%r2,%r7)
        xr %r4, %r11
        llgcr %r4, %r4
        sllg %r4, %r4, 2
        srl %r11, 8
        x %r11, 0(%r4,%r6)
        aghi %r2, 1
        brctg %r3, byte

        lghi %r2, 0                     # a copy of 256 bytes by doublewords
        lghi %r3, 32
words:  lg %r4, 0(%r2,%r7)
        rllg %r4, %r4, 8
        stg %r4, 0(%r2,%r8)
        la %r2, 8(%r2)
        brctg %r3, words
        mvc 0(256,%r7), 0(%r8)          # and back at once

        lghi %r3, 32                    # calls
call:   lgr %r2, %r3
        brasl %r14, leaf
        xr %r11, %r2
        brctg %r3, call
        brctg %r10, round

        llgfr %r11, %r11
        stg %r11, 16(%r9)
        lg %r1, 8(%r9)
        ltgr %r1, %r1
        jz stop
        cgr %r1, %r11
        jne bad
stop:   stap 40(%r9)                    # done: the processor stops itself
        llgh %r1, 40(%r9)
        lghi %r3, 0
        sigp %r3, %r1, 5
ended:  j ended
bad:    lpswe 24(%r9)

leaf:   cghi %r2, 16
        jh high
        msgfi %r2, 31
        br %r14
high:   aghi %r2, 7
        risbg %r2, %r2, 32, 191, 3
        br %r14
