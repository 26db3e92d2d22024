"""Samples that can be compared on a machine whose speed swings.

The sides of a comparison take turns. A calibration loop runs before and after each sample; a
figure is corrected to the speed of the fastest calibration that the whole run has seen.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUNDS = 150_000
"""Of the calibration loop: about 10 ms."""


class MeasureError(Exception):
    """No figure; the message says why."""


@dataclass(frozen=True)
class Sample:
    """A raw figure, and the CPU seconds of the calibration loop around it (mean of both)."""

    value: float
    calibration: float


@dataclass(frozen=True)
class Figure:
    """The median of samples corrected for the machine's speed; low and high are as corrected."""

    median: float
    low: float
    high: float
    samples: tuple[Sample, ...]

    @property
    def spread(self) -> float:
        """The widest difference of corrected samples, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def calibrate() -> float:
    """CPU seconds of a fixed piece of work."""
    began = time.process_time()
    value = 1
    for _ in range(ROUNDS):
        value = (value * 1103515245 + 12345) & 0xFFFF_FFFF
    return time.process_time() - began


def sample(measure: Callable[[], float]) -> Sample:
    """One figure between two calibrations."""
    before = calibrate()
    value = measure()
    return Sample(value, (before + calibrate()) / 2)


def alternate(
    sides: Mapping[str, Callable[[], float]], repeat: int
) -> dict[str, list[Sample] | MeasureError]:
    """`repeat` samples of each side, in turns; a side that fails is left out from then on."""
    taken: dict[str, list[Sample] | MeasureError] = {name: [] for name in sides}
    for _ in range(repeat):
        for name, measure in sides.items():
            samples = taken[name]
            if isinstance(samples, MeasureError):
                continue
            try:
                samples.append(sample(measure))
            except MeasureError as error:
                taken[name] = error
    return taken


def figure(samples: list[Sample], fastest: float, rate: bool, corrected: bool = True) -> Figure:
    """The figure of samples, as on the machine at the speed of calibration `fastest`.

    rate: the values are per second, so a slow machine makes them smaller. corrected: False for
    values that the machine's speed does not change.
    """

    def scaled(one: Sample) -> float:
        if not corrected:
            return one.value
        slowness = one.calibration / fastest
        return one.value * slowness if rate else one.value / slowness

    values = [scaled(one) for one in samples]
    return Figure(statistics.median(values), min(values), max(values), tuple(samples))
