"""The table of paths and tests has no gap."""

from tests.conformance.hypervisor.paths import PATHS, covered


def test_every_path_is_reached_by_a_test() -> None:
    missing = sorted(PATHS.keys() - covered().keys())
    assert not missing, f"no test reaches {', '.join(missing)}"
