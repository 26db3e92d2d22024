"""Facilities of z/Architecture that the modelled processor has. ref: PoP 4 Facility Indications.

A CPU model is limited to these: STFLE then tells the guest what is there.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.models import CpuModel, cpu_model

MODELLED_FACILITIES = frozenset(
    {
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        10,
        13,
        14,
        16,
        17,
        18,
        20,
        21,
        22,
        24,
        25,
        26,
        27,
        30,
        31,
        32,
        33,
        34,
    }
    | {35, 40, 41, 45, 49, 51, 52, 53, 57, 58, 66, 76, 77, 78, 145}
)
DEFAULT_MODEL = "z14"
TRNG_GENERATION = 14


def modelled_cpu(name: str) -> CpuModel:
    """The CPU model of that name with what is modelled of it; raises ValueError for others.

    Of message-security assist 5 only the true random number generator is modelled, which came
    with the z14: earlier models go without.
    """
    model = cpu_model(name)
    modelled = MODELLED_FACILITIES
    if model.generation < TRNG_GENERATION:
        modelled = modelled - {Facility.MSA_5}
    return model.limited_to(modelled)
