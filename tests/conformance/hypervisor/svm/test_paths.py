"""The table of paths and guest programs has no gap."""

from pathlib import Path

from tests.conformance.hypervisor.paths import covered
from tests.conformance.hypervisor.svm_paths import PATHS


def test_every_path_is_reached_by_a_guest_program() -> None:
    missing = sorted(PATHS.keys() - covered(Path(__file__).parent).keys())
    assert not missing, f"no guest program reaches {', '.join(missing)}"
