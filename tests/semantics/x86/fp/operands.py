"""Operands for floating-point tests: corner cases, and random ones that come near them."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Format:
    """An interchange format by the widths of its fields."""

    exponent: int
    fraction: int

    @property
    def bits(self) -> int:
        """Width of a number."""
        return 1 + self.exponent + self.fraction

    @property
    def bias(self) -> int:
        """Bias of the exponent."""
        return (1 << (self.exponent - 1)) - 1

    def make(self, sign: int, exponent: int, fraction: int) -> int:
        """A number of its fields, which are cut to their widths."""
        exponent &= (1 << self.exponent) - 1
        fraction &= (1 << self.fraction) - 1
        return sign << (self.bits - 1) | exponent << self.fraction | fraction

    def corners(self) -> list[int]:
        """Zeros, the ends of the denormal and normal ranges, ones, infinities, NaNs."""
        top, most = (1 << self.exponent) - 1, (1 << self.fraction) - 1
        half = 1 << (self.fraction - 1)
        magnitudes = [
            (0, 0), (0, 1), (0, half), (0, most), (1, 0), (1, 1), (1, most), (2, 0),
            (self.bias - 1, 0), (self.bias - 1, most), (self.bias, 0), (self.bias, 1),
            (self.bias, most), (self.bias + 1, half), (self.bias + self.fraction, 1),
            (self.bias + self.fraction + 1, most), (top - 1, 0), (top - 1, most), (top, 0),
            (top, 1), (top, half - 1), (top, half), (top, half | 5), (top, most),
        ]  # fmt: skip
        return [self.make(s, e, f) for e, f in magnitudes for s in (0, 1)]

    def fraction_of(self, random: Random) -> int:
        """A fraction: any, or one with few ones or zeros at an end."""
        how, f = random.randrange(5), random.getrandbits(self.fraction)
        if how == 0:
            return f >> random.randrange(self.fraction) << random.randrange(self.fraction)
        if how == 1:
            return (1 << random.randrange(self.fraction)) * random.choice((1, 3, 5))
        if how == 2:
            return ~(f >> random.randrange(self.fraction))
        return f

    def random(self, random: Random) -> int:
        """Any number."""
        how, top = random.randrange(16), (1 << self.exponent) - 1
        if how == 0:
            return random.choice(self.corners())
        exponent = random.getrandbits(self.exponent)
        if how == 1:
            exponent = random.choice((0, 1, 2, self.fraction, top, top - 1, top - 2))
        elif how < 10:
            exponent = self.bias + random.randrange(-self.fraction - 3, self.fraction + 4)
        return self.make(random.getrandbits(1), exponent, self.fraction_of(random))

    def near(self, random: Random, other: int) -> int:
        """A number whose exponent brings it, a product or a quotient with another near an end."""
        e = other >> self.fraction & (1 << self.exponent) - 1
        top = (1 << self.exponent) - 1
        goal = random.choice((0, 1, top - 1, top, -self.fraction, self.bias))
        exponent = random.choice((e, goal, goal + self.bias - e, e - self.bias + goal, e - goal))
        if exponent == e and random.random() < 0.2:
            return other ^ random.getrandbits(3) ^ random.getrandbits(1) << (self.bits - 1)
        exponent += random.randrange(-3, 4)
        exponent = min(max(exponent, 0), top - (random.random() < 0.9))
        return self.make(random.getrandbits(1), exponent, self.fraction_of(random))


BINARY16 = Format(5, 10)
BINARY32 = Format(8, 23)
BINARY64 = Format(11, 52)


def tuples(form: Format, random: Random, count: int, width: int) -> Iterator[tuple[int, ...]]:
    """`count` operands of `width` numbers."""
    corners = form.corners()
    for i in range(count):
        if i < count // 4:
            yield tuple(random.choice(corners) for _ in range(width))
            continue
        made = [form.random(random)]
        while len(made) < width:
            again = form.random(random)
            made.append(form.near(random, made[-1]) if random.random() < 0.6 else again)
        yield tuple(made)
