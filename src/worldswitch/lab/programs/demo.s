# The guest of `worldswitch demo`: each label is where one way out of the guest begins.
#
# Starts in 64-bit mode with DAT off, at the address that the scene's label has. Guest addresses
# from 0 to 0xFFFFF exist. The host keeps page `absent` out of its tables where the scene says so.
        .equ absent, 0x5000

diagnose:                               # an instruction that is the hypervisor's to answer
        lghi %r1, 5
        diag %r1, %r3, 0x500

supervisor:                             # SUPERVISOR CALL 7, which the controls name
        svc 7

control:                                # a control register that the host keeps
        lctlg %c6, %c6, 0(%r0)

program:                                # an address beyond the guest's storage
        llihl %r1, 1
        lg %r2, 0(%r1)

swap:   larl %r3, word                  # a swap that fails, and a PER event at the same time
        cs %r1, %r2, 0(%r3)
failed: j failed
        .align 4
word:   .long 9

operation:                              # no instruction at all
        .insn 0000

requests:                               # the guest enables external, then I/O interruptions
        stosm 0x900(%r0), 1
        stosm 0x900(%r0), 2
endless:
        j endless

wait:   larl %r1, waiting               # a wait for interruptions
        lpswe 0(%r1)
        .align 8
waiting: .quad 0x0302000180000000, 0x2000

page:   lghi %r0, 0                     # MOVE PAGE from a page that the host has not mapped
        lghi %r1, 0x6000
        lghi %r2, absent
        mvpg %r1, %r2

pending:                                # TEST PENDING INTERRUPTION while the host has a request
        tpi 0(%r0)

keys:   lghi %r2, 0x6000                # storage keys, for a guest that has lived without them
        iske %r1, %r2

store:  lghi %r1, absent                # a store into a page that the host has not mapped
        stg %r1, 8(%r1)
