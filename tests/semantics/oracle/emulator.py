"""The independent emulator: Unicorn's s390x in a process of its own, because it may crash.

Run as a program, it takes images on standard input and answers with what the driver left.
"""

import ctypes
import signal
import struct
import subprocess
import sys
import threading
from typing import BinaryIO

from tests.semantics.oracle.layout import CASES, DRIVER, GPRS, PSW_64, RAM, SLOTS, driver

SECONDS = 60
"""A batch that takes longer hangs."""
CODE_OFFSETS = range(512, 1200, 4)
OK, CRASHED = 0, 1
ANEW, AGAIN = b"n", b"a"
DATA = [slice(0, DRIVER), slice(GPRS, SLOTS), slice(CASES, RAM)]
"""Where there is no text."""
NULLIFYING = {0x10, 0x11, 0x12, 0x38, 0x39, 0x3A, 0x3B}
"""Program interruptions whose old PSW designates the instruction itself."""
EXCEPTION_SVC = 2


class EmulatorError(Exception):
    """The emulator crashed, hung or gave up: not an answer about any instruction."""


class Emulator:
    """Runs images on Unicorn; a worker that dies is started anew."""

    def __init__(self) -> None:
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self, image: bytes, again: bool = False) -> bytes:
        """Storage after the driver has run; raises EmulatorError.

        again: only the data differ from the last image; text from there on stays compiled.
        """
        again = again and self._worker is not None
        if self._worker is None:
            self._worker = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        worker = self._worker
        assert worker.stdin is not None and worker.stdout is not None
        watch = threading.Timer(SECONDS, worker.kill)
        watch.start()
        try:
            worker.stdin.write(AGAIN if again else ANEW)
            worker.stdin.write(image)
            worker.stdin.flush()
            answer = worker.stdout.read(RAM + 1)
        except BrokenPipeError:
            answer = b""
        finally:
            watch.cancel()
        if len(answer) != RAM + 1 or answer[0] != OK:
            self.close()
            raise EmulatorError("crashed or hung" if len(answer) != RAM + 1 else "gave up")
        return answer[1:]

    def close(self) -> None:
        """End the worker."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.communicate()


class Unicorn:
    """One Unicorn engine with `RAM` bytes at 0, whose program interruptions go to the driver."""

    def __init__(self) -> None:
        import unicorn
        import unicorn.s390x_const as names

        self.names = names
        self.error = unicorn.UcError
        self.uc = unicorn.Uc(unicorn.UC_ARCH_S390X, unicorn.UC_MODE_BIG_ENDIAN)
        self.uc.ctl_set_cpu_model(names.UC_CPU_S390X_MAX)
        self.uc.mem_map(0, RAM)
        self.uc.hook_add(unicorn.UC_HOOK_INTR, self._interrupt)
        self._context = self.uc.context_save()
        self._raw = ctypes.cast(self._context._context, ctypes.c_void_p).value
        self._where = 0
        self._where = self._find_code()
        self.failed = False

    def _find_code(self) -> int:
        """Where the engine's saved context holds the program-interruption code.

        No register of the interface has it: two known exceptions tell the place.
        """
        seen: list[bytes] = []
        for text in (b"\x1d\x01", b"\x00\x00"):
            self.uc.ctl_flush_tb()
            self.uc.mem_write(DRIVER, text)
            self._start(DRIVER, driver().program)
            self.uc.context_update(self._context)
            seen.append(ctypes.string_at(self._raw, self._context.size))
        found = [
            n
            for n in CODE_OFFSETS
            if [struct.unpack_from("<II", s, n) for s in seen] == [(9, 2), (1, 2)]
        ]
        assert len(found) == 1, found
        return found[0]

    def _start(self, address: int, until: int) -> None:
        names, uc = self.names, self.uc
        uc.reg_write(names.UC_S390X_REG_PSWM, PSW_64)
        uc.reg_write(names.UC_S390X_REG_CR0, 0xE0 | 1 << 18)
        uc.emu_start(address, until)

    def _interrupt(self, uc: object, number: int, data: object) -> None:
        """Store what a program interruption stores, and go on at its handler."""
        names = self.names
        pc = self.uc.reg_read(names.UC_S390X_REG_PC)
        if self._where:
            self.uc.context_update(self._context)
            code, length = struct.unpack("<II", ctypes.string_at((self._raw or 0) + self._where, 8))
            if number == EXCEPTION_SVC or DRIVER <= pc < DRIVER + len(driver().text):
                self.failed = True
                self.uc.emu_stop()
                return
            if code not in NULLIFYING:
                pc += length
            self.uc.mem_write(0x8C, struct.pack(">HH", length, code))
            self.uc.mem_write(0x150, struct.pack(">QQ", 0, pc))
        self.uc.reg_write(names.UC_S390X_REG_PC, driver().program)

    def run(self, image: bytes, again: bool = False) -> bytes | None:
        """Storage afterwards; None if the driver did not come to its end."""
        self.failed = False
        if again:
            for part in DATA:
                self.uc.mem_write(part.start, image[part])
        else:
            self.uc.mem_write(0, image)
            self.uc.ctl_flush_tb()
        try:
            self._start(DRIVER, driver().end)
        except self.error:
            return None
        return None if self.failed else bytes(self.uc.mem_read(0, RAM))


def serve(source: BinaryIO = sys.stdin.buffer, sink: BinaryIO = sys.stdout.buffer) -> None:
    """Answer images until the input ends."""
    engine = Unicorn()
    while True:
        kind = source.read(1)
        image = source.read(RAM)
        if len(image) != RAM:
            return
        signal.alarm(2 * SECONDS)  # ends a hung engine whose caller is gone
        answer = engine.run(image, kind == AGAIN)
        signal.alarm(0)
        sink.write(bytes([OK if answer is not None else CRASHED]))
        sink.write(answer if answer is not None else bytes(RAM))
        sink.flush()
