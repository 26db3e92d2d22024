"""A processor in a process of its own, which may crash or hang: the host's own, or the emulator's.

The two processes share the image's memory. The parent writes a batch there and sends a byte; the
worker runs it and sends a byte back.
"""

import mmap
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

from tests.semantics.x86.oracle.driver import driver
from tests.semantics.x86.oracle.layout import (
    BACK,
    BASE,
    CASES,
    DRIVER,
    LEFT,
    NEXT,
    NO_CASES,
    READ_ONLY_SIZE,
    RESULT,
    RESULTS,
    SIZE,
    SLOT,
    SLOTS,
    SPARE,
    STATE,
    VARS,
    WINDOW,
    WINDOWS,
    Answer,
    Batch,
)

SECONDS = 60
"""A batch that takes longer hangs."""
OK, FAILED = b"k", b"f"
AGAIN, WIDE, NARROW = b"a", b"w", b"n"
"""The same text as before with other values; a new batch of 64-bit code, of 32-bit code."""


class WorkerError(Exception):
    """The worker crashed, hung or gave up: not an answer about any instruction."""


class Worker:
    """Runs batches by `serve` of a module; a worker that dies is started anew."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.memory = os.memfd_create("oracle")
        os.ftruncate(self.memory, SIZE + READ_ONLY_SIZE)
        self.image = mmap.mmap(self.memory, SIZE + READ_ONLY_SIZE)
        self._worker: subprocess.Popen[bytes] | None = None

    def _put(self, address: int, data: bytes | bytearray) -> None:
        self.image[address - BASE : address - BASE + len(data)] = data

    def run(self, batch: Batch, again: bool = False) -> Answer:
        """What the processor makes of the cases; raises WorkerError.

        again: only the values differ from the last batch.
        """
        again = again and self._worker is not None
        program = driver(batch.narrow)
        if not again:
            self._put(DRIVER, program.text)
            self._put(BACK, program.back)
            self._put(SLOTS, batch.slots)
        self._put(VARS, program.variables)
        for where, value in (
            (NEXT, CASES + STATE * batch.first),
            (RESULT, RESULTS + STATE * batch.first),
            (LEFT, batch.count - batch.first),
        ):
            self._put(where, value.to_bytes(8, "little"))
        self._put(SPARE, NO_CASES)
        self._put(CASES, batch.states)
        self._put(RESULTS, bytes(STATE * batch.count))
        self._put(WINDOWS, batch.windows)
        self._ask(AGAIN if again else NARROW if batch.narrow else WIDE)
        return Answer(self._part(RESULTS, STATE, batch), self._part(WINDOWS, WINDOW, batch))

    def _part(self, at: int, size: int, batch: Batch) -> bytes:
        return bytes(self.image[at - BASE : at - BASE + size * batch.count])

    def untouched(self, batch: Batch) -> bool:
        """Whether the texts are still what they were."""
        return self._part(SLOTS, SLOT, batch) == bytes(batch.slots)

    def _ask(self, kind: bytes) -> None:
        if self._worker is None:
            self._worker = subprocess.Popen(
                [sys.executable, "-c", f"from {self.module} import serve; serve({self.memory})"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[self.memory],
            )
        worker = self._worker
        assert worker.stdin is not None and worker.stdout is not None
        watch = threading.Timer(SECONDS, worker.kill)
        watch.start()
        try:
            worker.stdin.write(kind)
            worker.stdin.flush()
            answer = worker.stdout.read(1)
        except BrokenPipeError:
            answer = b""
        finally:
            watch.cancel()
        if answer != OK:
            self.close()
            raise WorkerError("gave up" if answer else "crashed or hung")

    def close(self) -> None:
        """End the worker."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.communicate()


def serve_batches(run: Callable[[bytes], bool]) -> None:
    """The worker's loop: answer until the input ends."""
    while kind := os.read(0, 1):
        signal.alarm(2 * SECONDS)  # ends a hung worker whose parent is gone
        answer = run(kind)
        signal.alarm(0)
        os.write(1, OK if answer else FAILED)
