"""Ultravisor calls: a control block in host storage, the call, and its return code.

ref: UV control-block header
"""

from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from worldswitch.arch.control_block import ControlBlock
from worldswitch.arch.s390x.uv import (
    ConvertFromSecure,
    ConvertToSecure,
    QueryInformation,
    UvCommand,
    UvCondition,
    UvHeader,
    UvReturn,
)
from worldswitch.metal.interface import HostStorage, S390Host

B = TypeVar("B", bound=ControlBlock)
MOST_TRIES = 1000
"""Calls of one command while the Ultravisor says that it is busy."""

_AREAS: "WeakKeyDictionary[HostStorage, int]" = WeakKeyDictionary()


class UltravisorError(Exception):
    """The Ultravisor refused a command. rc, rrc: its return code and return reason code."""

    def __init__(self, command: UvCommand, rc: int, rrc: int) -> None:
        super().__init__(f"Ultravisor call {command.name} failed: rc {rc:#06x}, rrc {rrc:#06x}")
        self.command = command
        self.rc = rc
        self.rrc = rrc


def _area(host: S390Host) -> int:
    """The page of host storage that this processor's control blocks are built in."""
    found = _AREAS.get(host.storage)
    if found is None:
        found = _AREAS[host.storage] = host.storage.allocate(4096)
    return found


def call(
    host: S390Host, command: UvCommand, layout: type[B], fill: Callable[[B], None] | None = None
) -> B:
    """Issue a command, again while it is only partly done; its control block afterwards.

    Raises UltravisorError unless it is executed.
    """
    origin = _area(host)
    block = layout(host.storage.view, origin)
    block.write(bytes(layout.block_size))
    header = UvHeader(host.storage.view, origin)
    header.length, header.command = layout.block_size, int(command)
    if fill is not None:
        fill(block)
    for _ in range(MOST_TRIES):
        condition = host.uvc(origin)
        if condition not in (UvCondition.BUSY, UvCondition.PARTIAL):
            break
    if header.rc != UvReturn.EXECUTED:
        raise UltravisorError(command, header.rc, header.rrc)
    return block


def query(host: S390Host) -> QueryInformation:
    """What the Ultravisor offers; UltravisorError if there is none."""
    return call(host, UvCommand.QUERY, QueryInformation)


def convert_from_secure(host: S390Host, address: int) -> None:
    """Make a protected guest's page at a host address accessible, encrypted."""

    def fill(block: ConvertFromSecure) -> None:
        block.host_address = address

    call(host, UvCommand.CONVERT_FROM_SECURE, ConvertFromSecure, fill)


def convert_to_secure(host: S390Host, configuration: int, guest_address: int) -> None:
    """Give a page to a protected guest."""

    def fill(block: ConvertToSecure) -> None:
        block.configuration_handle, block.guest_address = configuration, guest_address

    call(host, UvCommand.CONVERT_TO_SECURE, ConvertToSecure, fill)
