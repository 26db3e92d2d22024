# The protected guest of `worldswitch demo`. Its pages are encrypted until the Ultravisor has them.
#
# The first two pages, its prefix area, and this one are the image; it runs from here to its end.
start:  lghi %r1, 5                     # an instruction that the Ultravisor hands to the host
        lghi %r2, 0x42
        lghi %r3, 0x77                  # a secret: the host sees the registers that it needs
        diag %r1, %r2, 0x500
        larl %r4, classes
        lctlg %c6, %c6, 0(%r4)          # enables subclasses of I/O interruptions
        larl %r4, checks
        lpswe 0(%r4)                    # enables machine checks
go_on:  larl %r4, prefix
        spx 0(%r4)                      # done already when the host is told
        lghi %r4, 0
        diag %r1, %r2, 0x44             # not reached before the prefix area is secure
endless:
        j endless
        .align 8
classes: .quad 0xff000000
checks: .quad 0x0004000180000000, go_on
prefix: .long 0x4000
