"""CPU models and facility lists."""

import itertools

import pytest

from worldswitch.arch.s390x.facilities import (
    HYPERVISOR_PROVIDED,
    PREREQUISITES,
    Facility,
    facilities_in,
    facility_list,
    with_prerequisites,
)
from worldswitch.arch.s390x.models import MODELS, cpu_model


def test_required_models_exist() -> None:
    assert {"z900", "z9-109", "z10", "z196", "zEC12", "z13"} <= set(MODELS)
    assert cpu_model("z10-EC") is MODELS["z10"]


def test_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no CPU model 'z80'; the models are z900, z990"):
        cpu_model("z80")


def test_models_are_complete_in_themselves() -> None:
    for model in MODELS.values():
        assert with_prerequisites(model.facilities) == model.facilities, model.name
        assert not model.facilities & HYPERVISOR_PROVIDED, model.name


def test_each_model_has_what_its_predecessor_has() -> None:
    models = list(MODELS.values())
    for older, newer in itertools.pairwise(models):
        assert older.facilities <= newer.facilities, newer.name
        assert older.address_bits <= newer.address_bits


def test_identification_has_type_and_serial() -> None:
    assert cpu_model("z13").cpu_id(0x123456) == 0x0012_3456_2964_0000
    assert cpu_model("z900").cpu_id(1, version=0xFF) == 0xFF00_0001_2064_0000


def test_instruction_blocking_level_counts_from_z10() -> None:
    assert [cpu_model(name).ibc for name in ("z900", "z10", "z196", "z13")] == [0, 3, 0x12, 0x32]


def test_facilities_not_modelled_take_along_what_needs_them() -> None:
    modelled = set(Facility) - {Facility.TRANSACTIONAL_EXECUTION, Facility.DFP}
    limited = cpu_model("z13", modelled).facilities
    assert Facility.CONSTRAINED_TRANSACTION not in limited
    assert not limited & {Facility.DFP_FAST, Facility.DFP_ZONED, Facility.DFP_PACKED}
    assert Facility.VECTOR in limited
    assert cpu_model("z13").limited_to(None) is cpu_model("z13")


def test_prerequisites_are_followed_through() -> None:
    assert with_prerequisites({Facility.MSA_9, Facility.MSA_4, Facility.MSA_3}) == frozenset()
    assert Facility.EDAT_2 in PREREQUISITES


def test_facility_list_numbers_bits_from_the_left() -> None:
    assert facility_list({0, 1, 63, 64, 129}) == [0xC000_0000_0000_0001, 1 << 63, 1 << 62]
    assert facilities_in([0xC000_0000_0000_0001, 1 << 63, 1 << 62]) == {0, 1, 63, 64, 129}
    assert facility_list([]) == [0]


def test_z900_has_the_published_list() -> None:
    assert facility_list(cpu_model("z900").facilities) == [0xE000_A000_0000_0000]
