# The protected guest of `worldswitch demo`. Its pages are encrypted until the Ultravisor has them.
#
# The first two pages, its prefix area, and this one are the image; it runs from here to its end.
start:  lghi %r1, 5                     # an instruction that the Ultravisor hands to the host
        lghi %r2, 0x42
        lghi %r3, 0x77                  # a secret: the host sees the registers that it needs
        diag %r1, %r2, 0x500
        larl %r4, prefix
        spx 0(%r4)                      # done already when the host is told
        lghi %r4, 0
        diag %r1, %r2, 0x44             # not reached before the prefix area is secure
endless:
        j endless
        .align 8
prefix: .long 0x4000
