"""Facilities of z/Architecture that the modelled processor has. ref: PoP 4 Facility Indications.

A CPU model is limited to these: STFLE then tells the guest what is there.
"""

MODELLED_FACILITIES = frozenset(
    {0, 1, 2, 3, 7, 8, 18, 21, 25, 27, 31, 32, 33, 34, 35, 40, 41, 45, 49, 51, 53, 78}
)
