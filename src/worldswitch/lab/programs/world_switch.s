# A guest that leaves at once and again: what a world switch costs.
again:  diag %r1, %r3, 0x500
        j again
