"""Constant tables that instructions read in native memory. ref: FIPS 197 5.1.1"""

import ctypes


def _product(a: int, b: int) -> int:
    """The product in GF(2**8), modulo x**8 + x**4 + x**3 + x + 1."""
    result = 0
    for n in range(8):
        if b >> n & 1:
            result ^= a << n
    for n in range(14, 7, -1):
        if result >> n & 1:
            result ^= 0x11B << n - 8
    return result


def _substitution() -> bytes:
    """The S-box: the inverse, then an affine map."""
    powers = [1]
    while len(powers) < 255:
        powers.append(_product(powers[-1], 3))
    logarithms = {power: n for n, power in enumerate(powers)}
    box = bytearray()
    for value in range(256):
        inverse = powers[-logarithms[value] % 255] if value else 0
        sum_of_rotations = 0x63
        for n in range(5):
            sum_of_rotations ^= (inverse << n | inverse >> 8 - n) & 0xFF
        box.append(sum_of_rotations)
    return bytes(box)


def _tables() -> bytes:
    box = _substitution()
    back = bytearray(256)
    for value, substitute in enumerate(box):
        back[substitute] = value
    return box + bytes(back)


_memory = ctypes.create_string_buffer(_tables(), 512)
ADDRESS = ctypes.addressof(_memory)
"""At 0 the S-box of AES, at 256 its inverse."""
