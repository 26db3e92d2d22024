"""The service processor: configuration, and the console's events. ref: SCLP commands."""

from collections.abc import Callable
from typing import Protocol

from worldswitch.arch.s390x.models import CpuModel, SieFeatures
from worldswitch.arch.s390x.sclp import EventType, SclpCommand, SclpResponse, event_mask

HEADER = 8
MDB_TEXT = 4
"""Object type of a line of text in a message data block."""
MASKS_OFFSET = 12
QUIESCE_LENGTH = 10
CODEPAGE = "cp037"


class Memory(Protocol):
    """The storage that SCCBs lie in."""

    size: int

    def read(self, address: int, size: int) -> bytes: ...
    def write(self, address: int, data: bytes) -> None: ...


SKEY, SIEF2 = 0x04, 0x08
"""In byte 2 of a CPU entry: storage-key assist, SIE with format-2 state descriptions."""


def flags(*bits: tuple[bool, int]) -> int:
    """The bits that hold, or-ed."""
    return sum(mask for holds, mask in bits if holds)


class Sclp:
    """Answers service calls.

    output: takes the console's bytes. signal: called with the external parameter when a service
    signal has to become pending.
    """

    def __init__(
        self,
        memory: Memory,
        model: CpuModel,
        cpus: int,
        output: Callable[[bytes], None],
        signal: Callable[[int], None],
    ) -> None:
        self.memory = memory
        self.model = model
        self.cpus = cpus
        self.output = output
        self.signal = signal
        self.sie: SieFeatures | None = None
        """Facilities of interpretive execution to report; None: there is no SIE."""
        self.receive_mask = 0
        self.input = bytearray()
        self.quiesce = False
        self._handlers: dict[int, Callable[[bytearray], int]] = {
            SclpCommand.READ_SCP_INFO: self._read_scp_info,
            SclpCommand.READ_SCP_INFO_FORCED: self._read_scp_info,
            SclpCommand.READ_CPU_INFO: self._read_cpu_info,
            SclpCommand.WRITE_EVENT_MASK: self._write_event_mask,
            SclpCommand.WRITE_EVENT_DATA: self._write_event_data,
            SclpCommand.READ_EVENT_DATA: self._read_event_data,
        }

    def call(self, command: int, address: int, memory: Memory | None = None) -> int:
        """Execute a service call on the SCCB at an absolute address; returns the condition code.

        memory: what the SCCB is in, if it is not the guest's own storage.
        """
        memory = memory or self.memory
        length = int.from_bytes(memory.read(address, 2), "big")
        if length < HEADER:
            short = SclpResponse.INSUFFICIENT_SCCB_LENGTH
            return self._answer(memory, address, bytearray(HEADER), short)
        block = bytearray(memory.read(address, min(length, 4096 - (address & 0xFFF))))
        if (address & 0xFFF) + length > 4096 or len(block) < length:
            crossing = SclpResponse.SCCB_BOUNDARY_VIOLATION
            return self._answer(memory, address, block[:HEADER], crossing)
        handler = self._handlers.get(command & 0xFFFF00FF)
        response = SclpResponse.INVALID_COMMAND if handler is None else handler(block)
        return self._answer(memory, address, block, response)

    def _answer(self, memory: Memory, address: int, block: bytearray, response: int) -> int:
        block[6:8] = response.to_bytes(2, "big")
        memory.write(address, bytes(block))
        self.signal((address & 0x7FFF_FFF8) | (1 if self._event_waits() else 0))
        return 0

    def _event_waits(self) -> bool:
        wanted = 0
        if self.input:
            wanted |= event_mask(EventType.ASCII_CONSOLE)
        if self.quiesce:
            wanted |= event_mask(EventType.SIGNAL_QUIESCE)
        return bool(wanted & self.receive_mask)

    def type_in(self, data: bytes) -> None:
        """Input for the guest's console."""
        self.input += data
        if self._event_waits():
            self.signal(1)

    def _cpu_entries(self) -> bytes:
        entries = b""
        for n in range(self.cpus):
            entry = bytearray(16)
            entry[0] = n
            entry[2] = SKEY
            if self.sie is not None:
                entry[2] |= SIEF2
                entry[3] = flags(
                    (self.sie.gpere, 0x20), (self.sie.siif, 0x10), (self.sie.sigpif, 0x08)
                )
                entry[7] = flags((self.sie.ib, 0x20), (self.sie.cei, 0x10))
            entries += bytes(entry)
        return entries

    def _read_scp_info(self, block: bytearray) -> int:
        entries = self._cpu_entries()
        if len(block) < 128 + len(entries):
            return SclpResponse.INSUFFICIENT_SCCB_LENGTH
        megabytes = self.memory.size >> 20
        size = 1
        while megabytes // size > 0xFFFF:
            size *= 2  # what does not fill the last increment is not reported
        block[8:10] = (megabytes // size).to_bytes(2, "big")
        block[10] = size
        block[16:18] = self.cpus.to_bytes(2, "big")
        block[18:20] = (128).to_bytes(2, "big")
        block[24:32] = b" " * 8
        block[24:32] = "        ".encode(CODEPAGE)
        block[48:56] = 0x0800_0000_0000_0000.to_bytes(8, "big")
        ibc = self.model.ibc
        block[76:80] = ((0 << 16) | ibc).to_bytes(4, "big")
        if self.sie is not None:
            block[85] |= flags((self.sie.gsls, 0x80))
            block[98] |= flags((self.sie.kss, 0x01))
            block[116] |= flags((self.sie.sca_64bit, 0x88))
            block[117] |= flags((self.sie.pfmfi, 0x40), (self.sie.ibs, 0x20))
        block[120:122] = (self.cpus - 1).to_bytes(2, "big")
        block[128 : 128 + len(entries)] = entries
        return SclpResponse.NORMAL_READ_COMPLETION

    def _read_cpu_info(self, block: bytearray) -> int:
        entries = self._cpu_entries()
        if len(block) < 24 + len(entries):
            return SclpResponse.INSUFFICIENT_SCCB_LENGTH
        block[8:10] = self.cpus.to_bytes(2, "big")
        block[10:12] = (24).to_bytes(2, "big")
        block[12:14] = (0).to_bytes(2, "big")
        block[14:16] = (24 + len(entries)).to_bytes(2, "big")
        block[24 : 24 + len(entries)] = entries
        return SclpResponse.NORMAL_READ_COMPLETION

    def _write_event_mask(self, block: bytearray) -> int:
        size = int.from_bytes(block[10:12], "big")
        if not 0 < size <= 1021 or MASKS_OFFSET + 4 * size > len(block):
            return SclpResponse.INVALID_MASK_LENGTH
        masks = [block[MASKS_OFFSET + n * size : MASKS_OFFSET + (n + 1) * size] for n in range(2)]
        self.receive_mask = int.from_bytes(bytes(masks[0]).ljust(4, b"\0")[:4], "big")
        receive = event_mask(EventType.MESSAGE) | event_mask(EventType.ASCII_CONSOLE)
        send = event_mask(EventType.ASCII_CONSOLE) | event_mask(EventType.SIGNAL_QUIESCE)
        for n, mask in ((2, receive), (3, send)):
            start = MASKS_OFFSET + n * size
            block[start : start + size] = mask.to_bytes(4, "big").ljust(size, b"\0")[:size]
        return SclpResponse.NORMAL_COMPLETION

    def _write_event_data(self, block: bytearray) -> int:
        at = HEADER
        while at < len(block):
            length = int.from_bytes(block[at : at + 2], "big")
            if length < 6 or at + length > len(block):
                return SclpResponse.INCONSISTENT_LENGTHS
            kind = block[at + 2]
            body = bytes(block[at + 6 : at + length])
            if kind == EventType.ASCII_CONSOLE:
                self.output(body)
            elif kind == EventType.MESSAGE:
                self._message(body)
            elif kind != EventType.CONTROL_PROGRAM_IDENTIFICATION:
                return SclpResponse.INVALID_FUNCTION
            block[at + 3] |= 0x80
            at += length
        return SclpResponse.NORMAL_COMPLETION

    def _message(self, body: bytes) -> None:
        """Lines of text in a message data block."""
        at = 12
        while at + 4 <= len(body):
            length = int.from_bytes(body[at : at + 2], "big")
            if length < 4:
                return
            if int.from_bytes(body[at + 2 : at + 4], "big") == MDB_TEXT:
                text = body[at + 6 : at + length].decode(CODEPAGE, "replace").rstrip("\0")
                self.output(text.encode("utf-8") + b"\r\n")
            at += length

    def _read_event_data(self, block: bytearray) -> int:
        if self.quiesce and self.receive_mask & event_mask(EventType.SIGNAL_QUIESCE):
            if len(block) < HEADER + QUIESCE_LENGTH:
                return SclpResponse.INSUFFICIENT_SCCB_LENGTH
            self.quiesce = False
            event = QUIESCE_LENGTH.to_bytes(2, "big") + bytes([EventType.SIGNAL_QUIESCE, 0, 0, 0])
            event += (0).to_bytes(4, "big")
        elif self.input and self.receive_mask & event_mask(EventType.ASCII_CONSOLE):
            room = len(block) - HEADER - 7
            if room <= 0:
                return SclpResponse.INSUFFICIENT_SCCB_LENGTH
            data = bytes(self.input[:room])
            del self.input[:room]
            event = (7 + len(data)).to_bytes(2, "big") + bytes([EventType.ASCII_CONSOLE, 0, 0, 0])
            event += b"\0" + data
        else:
            return SclpResponse.NO_EVENT_BUFFERS_STORED
        block[HEADER : HEADER + len(event)] = event
        block[0:2] = (HEADER + len(event)).to_bytes(2, "big")
        return SclpResponse.NORMAL_COMPLETION
