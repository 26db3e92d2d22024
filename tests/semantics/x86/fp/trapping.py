"""Run SSE instructions with unmasked exceptions on the host: what MXCSR is when #XM comes.

The kernel delivers #XM as SIGFPE. The handler, machine code like the rest, takes MXCSR out of the
signal frame, masks all exceptions there, and goes on behind the instruction.
"""

import ctypes
import mmap
import signal
from collections.abc import Sequence

from tests.semantics.x86.fp.host import SIZE, Case, Result, loop, unpack

HANDLER = """
        jmp start
handler:
        movq 224(%rdx), %rax
        movl 24(%rax), %ecx
        movl $0x1f80, 24(%rax)
        btsq $32, %rcx
        movq %rcx, 80(%rdx)
        movq 72(%rdx), %rcx
        movq %rcx, 168(%rdx)
        ret
start:
"""
BODY = """
        pushq %r12
        pushq %r13
        leaq 9f(%rip), %r12
        xorl %r13d, %r13d
        movups 16(%rdi), %xmm0
        movups 32(%rdi), %xmm1
        ldmxcsr (%rdi)
        OP %xmm1, %xmm0
        stmxcsr 16(%rsi)
        movl 16(%rsi), %r13d
9:      movups %xmm0, (%rsi)
        movq %r13, 16(%rsi)
        movq $0, 24(%rsi)
        popq %r13
        popq %r12
"""
JUMP = 2
"""Length of the jump over the handler."""
SA_SIGINFO = 4


class SigAction(ctypes.Structure):
    """What the C library's sigaction takes."""

    _fields_ = [
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_byte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    ]  # fmt: skip


def run(operation: str, cases: Sequence[Case]) -> list[Result]:
    """Register, and MXCSR with bit 32 if there was #XM, after `operation %xmm1, %xmm0`."""
    code = loop(BODY.replace("OP", operation), HANDLER)
    table = b"".join(case.pack() for case in cases)
    area = mmap.mmap(-1, (len(code) + 4095) & ~4095, prot=mmap.PROT_READ | mmap.PROT_WRITE | 4)
    area.write(code)
    anchor = ctypes.c_char.from_buffer(area)
    start = ctypes.addressof(anchor)
    library = ctypes.CDLL(None)
    new, old = SigAction(handler=start + JUMP, flags=SA_SIGINFO), SigAction()
    out = ctypes.create_string_buffer(SIZE * len(cases))
    kind = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
    library.sigaction(signal.SIGFPE, ctypes.byref(new), ctypes.byref(old))
    try:
        kind(start)(table, ctypes.addressof(out), len(cases))
    finally:
        library.sigaction(signal.SIGFPE, ctypes.byref(old), None)
    del anchor
    area.close()
    return unpack(out.raw)
