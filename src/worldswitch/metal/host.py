"""What the physical processors of all architectures are for the hypervisor on them."""

import ctypes
from typing import Any

TIME_SLICE = 1_000_000


class HostBase:
    """Views of a processor's native state, and the interrupt that ends a guest's slice.

    processor: of one architecture. state: the `Cpu` that it is made of.
    """

    def __init__(self, processor: Any, state: Any) -> None:
        self._base, self._fields = processor.state.address, state.fields
        self._budget = self.array("run_budget", ctypes.c_uint64)
        self._deadline = self.array("deadline", ctypes.c_uint64)
        self._others = [p for p in processor.complex.processors if p is not processor]
        """The others of the machine. They execute in turn."""
        self.time_slice = TIME_SLICE

    def array(self, name: str, kind: Any, count: int = 1) -> Any:
        """A ctypes array over a member of the processor's state: the quickest view there is."""
        return (kind * count).from_address(self._base + self._fields[name].offset)

    @property
    def time_slice(self) -> int:
        """Instructions after which a physical interrupt is due, from each entry on."""
        return self._budget[0]

    @time_slice.setter
    def time_slice(self, value: int) -> None:
        self._budget[0] = value

    @property
    def deadline(self) -> int:
        """Instruction count of the processor at which one is due."""
        return self._deadline[0]

    @deadline.setter
    def deadline(self, value: int) -> None:
        self._deadline[0] = value
