"""The table of paths and tests has no gap."""

from pathlib import Path

from tests.conformance.hypervisor.paths import covered
from tests.conformance.hypervisor.svm_paths import PATHS


def test_every_path_is_reached_by_a_test() -> None:
    missing = sorted(PATHS.keys() - covered(Path(__file__).parent).keys())
    assert not missing, f"no test reaches {', '.join(missing)}"
