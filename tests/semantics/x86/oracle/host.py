"""The host's own processor, if it is an x86-64 under Linux: the driver runs in a worker process."""

import ctypes
import platform
import struct
import sys

from tests.semantics.x86.oracle.driver import driver
from tests.semantics.x86.oracle.layout import (
    BASE,
    DRIVER,
    GS_BASE,
    READ_ONLY,
    READ_ONLY_SIZE,
    SIZE,
)
from tests.semantics.x86.oracle.worker import AGAIN, NARROW, Worker, serve_batches

AVAILABLE = sys.platform == "linux" and platform.machine() == "x86_64"
PROT_RWX, PROT_RX = 7, 5
MAP_SHARED, MAP_FIXED_NOREPLACE = 1, 0x10_0000
SIGNALS = (4, 5, 7, 8, 11)
"""SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV."""
SA_SIGINFO, SA_ONSTACK, SA_RESTORER, SA_NODEFER = 4, 0x0800_0000, 0x0400_0000, 0x4000_0000
SYS_SIGACTION, SYS_ARCH_PRCTL, ARCH_SET_GS = 13, 158, 0x1001
STACK = 1 << 18


def host() -> Worker | None:
    """The host as a worker, None if it cannot run x86 code."""
    return Worker(__name__) if AVAILABLE else None


def features() -> frozenset[str]:
    """The host's features as Linux names them."""
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("flags"):
                return frozenset(line.split(":")[1].split())
    return frozenset()


def serve(memory: int) -> None:
    """The worker: maps the image where its addresses say, and runs the driver on request."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    ]  # fmt: skip
    libc.syscall.argtypes = [ctypes.c_long] * 5
    for where, size, rights, offset in (
        (BASE, SIZE, PROT_RWX, 0),
        (READ_ONLY, READ_ONLY_SIZE, PROT_RX, SIZE),
    ):
        flags = MAP_SHARED | MAP_FIXED_NOREPLACE
        if libc.mmap(where, size, rights, flags, memory, offset) != where:
            raise OSError(ctypes.get_errno(), "the image's place is taken")
    stack = ctypes.create_string_buffer(STACK)
    entry = struct.pack("<QixxxxQ", ctypes.addressof(stack), 0, STACK)
    libc.sigaltstack(entry, None)
    labels = driver(False).labels

    def run(kind: bytes) -> bool:
        nonlocal labels
        libc.syscall(SYS_ARCH_PRCTL, ARCH_SET_GS, GS_BASE, 0, 0)
        ctypes.string_at(READ_ONLY, 1)  # so that a store finds the page present
        if kind != AGAIN:
            labels = driver(kind == NARROW).labels
            flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER | SA_NODEFER
            action = struct.pack("<QQQQ", labels["handler"], flags, labels["restorer"], 0)
            where = ctypes.cast(action, ctypes.c_void_p).value or 0
            for number in SIGNALS:
                libc.syscall(SYS_SIGACTION, number, where, 0, 8)
        ctypes.CFUNCTYPE(None)(DRIVER)()
        return True

    serve_batches(run)
