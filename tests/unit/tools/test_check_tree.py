"""The project's own checks find what they are for, and pass what they must pass."""

from pathlib import Path

from check_tree import ROOT, check_file, check_tree

MANUALS = {"PoP", "APM2"}


def messages(tmp_path: Path, name: str, text: str) -> list[str]:
    """The findings in one file of a tree."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [finding.message for finding in check_file(tmp_path, Path(name), MANUALS)]


def test_ref_known_manual_passes(tmp_path: Path) -> None:
    assert messages(tmp_path, "src/a.py", 'f(ref="PoP 7-1; APM2 15.9")\n') == []


def test_ref_unknown_manual_is_found(tmp_path: Path) -> None:
    (message,) = messages(tmp_path, "src/a.py", 'f(ref="APM2 15.9; XYZ 3")\n')
    assert "'XYZ'" in message


def test_ref_without_section_is_found(tmp_path: Path) -> None:
    (message,) = messages(tmp_path, "src/a.py", 'f(ref="PoP")\n')
    assert "names no section" in message


def test_source_unfinished_work_is_found(tmp_path: Path) -> None:
    assert len(messages(tmp_path, "src/a.py", "# TO" + "DO later\nx = 1\n")) == 1


def test_source_too_long_is_found(tmp_path: Path) -> None:
    assert messages(tmp_path, "src/a.py", "x = 1\n" * 600) == []
    assert len(messages(tmp_path, "src/a.py", "x = 1\n" * 601)) == 1


def test_test_that_skips_is_found(tmp_path: Path) -> None:
    assert len(messages(tmp_path, "tests/test_a.py", "pytest" + ".skip('no')\n")) == 1


def test_this_tree_passes() -> None:
    assert check_tree(ROOT) == []
