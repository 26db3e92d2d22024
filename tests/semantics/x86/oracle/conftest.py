"""Says in the report's header whom our processor is compared with."""

from tests.semantics.x86.oracle.host import AVAILABLE


def pytest_report_header() -> str:
    """One line."""
    others = "the host's processor and Unicorn" if AVAILABLE else "Unicorn alone: no x86-64 host"
    return f"x86 oracle: {others}"
