"""Split virtqueues. ref: VIRTIO 1.2, 2.7.

The rings are in guest memory and the guest is hostile: whatever is wrong with them raises
VirtqueueError or DmaError, which the device answers by asking for a reset. Work per notification
is bounded by the queue's size and MOST_BYTES per chain.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag

from worldswitch.machine.x86.dma import Dma

MOST_BYTES = 16 << 20
"""What the buffers of one chain may have together."""
DESCRIPTOR = 16


class Flag(IntFlag):
    """Of a descriptor."""

    NEXT = 1
    WRITE = 2
    INDIRECT = 4


NO_INTERRUPT = 1
"""Flag of the driver's ring."""


class VirtqueueError(Exception):
    """A queue's content makes no sense."""


@dataclass(frozen=True)
class Buffer:
    """A piece of guest memory."""

    address: int
    size: int


class Chain:
    """A chain of buffers: what the device reads, then what it writes.

    `written` counts the bytes that went to the second part.
    """

    def __init__(self, dma: Dma, head: int, readable: list[Buffer], writable: list[Buffer]) -> None:
        self._dma = dma
        self.head = head
        self._readable = readable
        self._writable = writable
        self.written = 0

    @property
    def readable(self) -> int:
        """Bytes that are left to read."""
        return sum(part.size for part in self._readable)

    @property
    def writable(self) -> int:
        """Bytes that are left to write."""
        return sum(part.size for part in self._writable)

    @staticmethod
    def _take(parts: list[Buffer], size: int) -> Iterator[Buffer]:
        """Remove `size` bytes from the front of some buffers."""
        while size and parts:
            first = parts[0]
            step = min(size, first.size)
            yield Buffer(first.address, step)
            parts[:1] = [Buffer(first.address + step, first.size - step)] * (step < first.size)
            size -= step

    def read(self, size: int) -> bytes:
        """The next bytes from the driver, fewer at the end."""
        parts = self._take(self._readable, size)
        return b"".join(self._dma.read(part.address, part.size) for part in parts)

    def write(self, data: bytes) -> int:
        """Give the driver bytes; how many it had room for."""
        done = 0
        for part in self._take(self._writable, len(data)):
            self._dma.write(part.address, data[done : done + part.size])
            done += part.size
        self.written += done
        return done

    def reserve_last(self) -> int:
        """Take the last writable byte out of the chain; its address."""
        if not self._writable:
            raise VirtqueueError("a request has no room for its status")
        last = self._writable.pop()
        if last.size > 1:
            self._writable.append(Buffer(last.address, last.size - 1))
        return last.address + last.size - 1


class Virtqueue:
    """One queue. Addresses and size are the driver's to set while it is not enabled."""

    def __init__(self, dma: Dma, most: int) -> None:
        self._dma = dma
        self.most = most
        """The largest size, a power of two."""
        self.reset()

    def reset(self) -> None:
        """As the driver finds it."""
        self.size = self.most
        self.enabled = False
        self.descriptors = self.driver = self.device = 0
        """Guest-physical addresses of the descriptor table and the two rings."""
        self.vector = 0xFFFF
        """MSI-X entry; FFFF: none."""
        self.event_index = False
        self._next = 0
        """Position in the driver's ring, modulo 65536."""
        self._used = 0
        self._signalled = 0
        """Position in the device's ring at the last decision about an interrupt."""

    def enable(self) -> None:
        """The driver is done with the setting up; raises VirtqueueError, DmaError."""
        size = self.size
        if size == 0 or size & (size - 1) or size > self.most:
            raise VirtqueueError(f"a queue size of {size}")
        if self.descriptors & 15 or self.driver & 1 or self.device & 3:
            raise VirtqueueError("a ring that is not aligned")
        self._dma.check(self.descriptors, DESCRIPTOR * size)
        self._dma.check(self.driver, 6 + 2 * size)
        self._dma.check(self.device, 6 + 8 * size)
        self.enabled = True

    # --- what the driver offers --------------------------------------------------------------

    def waiting(self) -> int:
        """Chains that the driver has made available and the device has not taken."""
        index = self._dma.read_int(self.driver + 2, 2)
        count = (index - self._next) & 0xFFFF
        if count > self.size:
            raise VirtqueueError(f"{count} chains are available in a queue of {self.size}")
        return count

    def chains(self) -> Iterator[Chain]:
        """The chains that wait now. The index is read once, so the guest cannot prolong this."""
        for _ in range(self.waiting()):
            yield self.take()

    def take(self) -> Chain:
        """The next chain; one has to be waiting."""
        slot = self.driver + 4 + 2 * (self._next & (self.size - 1))
        head = self._dma.read_int(slot, 2)
        chain = self._walk(head)
        self._next = (self._next + 1) & 0xFFFF
        if self.event_index:
            # Ask to be told of whatever comes next.
            self._dma.write_int(self.device + 4 + 8 * self.size, 2, self._next)
        return chain

    def put_back(self) -> None:
        """The chain taken last was not used; it stays available."""
        self._next = (self._next - 1) & 0xFFFF

    def _walk(self, head: int) -> Chain:
        readable: list[Buffer] = []
        writable: list[Buffer] = []
        table, count, index = self.descriptors, self.size, head
        indirect = False
        left, total = self.size, 0
        while True:
            if index >= count:
                raise VirtqueueError(f"descriptor {index} of {count}")
            if left == 0:
                raise VirtqueueError("a chain is longer than its queue")
            left -= 1
            raw = self._dma.read(table + DESCRIPTOR * index, DESCRIPTOR)
            address = int.from_bytes(raw[:8], "little")
            size = int.from_bytes(raw[8:12], "little")
            flags = int.from_bytes(raw[12:14], "little")
            if flags & Flag.INDIRECT:
                if indirect or flags & Flag.NEXT or size % DESCRIPTOR or size == 0:
                    raise VirtqueueError("an indirect table in a wrong place or of a wrong size")
                self._dma.check(address, size)
                table, count, index, indirect = address, size // DESCRIPTOR, 0, True
                continue
            self._dma.check(address, size)
            total += size
            if total > MOST_BYTES:
                raise VirtqueueError(f"a chain has more than {MOST_BYTES} bytes")
            if flags & Flag.WRITE:
                writable.append(Buffer(address, size))
            elif writable:
                raise VirtqueueError("a buffer to read behind one to write")
            else:
                readable.append(Buffer(address, size))
            if not flags & Flag.NEXT:
                break
            index = int.from_bytes(raw[14:16], "little")
        return Chain(
            self._dma,
            head,
            [part for part in readable if part.size],
            [part for part in writable if part.size],
        )

    # --- what the device gives back ----------------------------------------------------------

    def complete(self, chain: Chain) -> None:
        """Give a chain back to the driver."""
        slot = self.device + 4 + 8 * (self._used & (self.size - 1))
        entry = chain.head.to_bytes(4, "little") + chain.written.to_bytes(4, "little")
        self._dma.write(slot, entry)
        self._used = (self._used + 1) & 0xFFFF
        self._dma.write_int(self.device + 2, 2, self._used)

    def wants_interrupt(self) -> bool:
        """Whether the driver wants to hear of what was given back since this was last asked."""
        before, self._signalled = self._signalled, self._used
        if before == self._used:
            return False
        if self.event_index:
            event = self._dma.read_int(self.driver + 4 + 2 * self.size, 2)
            return (self._used - event - 1) & 0xFFFF < (self._used - before) & 0xFFFF
        return not self._dma.read_int(self.driver, 2) & NO_INTERRUPT
