#!/usr/bin/env python3
"""Check what no linter checks: manual references, file sizes, unfinished work, tests that skip.

Prints one `path:line: message` per finding and ends with 1 if there is one.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANUALS = Path("docs/manuals.toml")
LONGEST_FILE = 600
LARGEST_FILE = 400_000
UNFINISHED = re.compile(r"\b(NotImplementedError|TODO|FIXME)\b")
SKIPPING = re.compile(r"pytest\.(skip|xfail|importorskip|mark\.(skip|skipif|xfail))\b")


@dataclass(frozen=True)
class Finding:
    """Something that the tree must not contain."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def tracked_files(root: Path) -> list[Path]:
    """The files that git tracks or would add, relative to `root`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return sorted({Path(name) for name in listing.split("\0") if name and (root / name).is_file()})


def unresolved_refs(path: Path, text: str, manuals: set[str]) -> Iterator[Finding]:
    """Each part of `ref="<manual> <section>; ..."` names a manual that is known, and a section."""
    for node in ast.walk(ast.parse(text, filename=str(path))):
        if not isinstance(node, ast.keyword) or node.arg != "ref":
            continue
        if not isinstance(node.value, ast.Constant) or not isinstance(node.value.value, str):
            continue
        for part in node.value.value.split(";"):
            name, _, section = part.strip().partition(" ")
            if name not in manuals:
                yield Finding(path, node.value.lineno, f"ref {name!r} is not in {MANUALS}")
            elif not section:
                yield Finding(path, node.value.lineno, f"ref {part.strip()!r} names no section")


def matching_lines(path: Path, text: str, pattern: re.Pattern[str], why: str) -> Iterator[Finding]:
    """One finding per line that `pattern` occurs in."""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := pattern.search(line):
            yield Finding(path, number, f"{match.group(0)}: {why}")


def check_file(root: Path, path: Path, manuals: set[str]) -> Iterator[Finding]:
    """The findings in one file."""
    if (size := (root / path).stat().st_size) > LARGEST_FILE:
        yield Finding(path, 1, f"{size} bytes; large data is fetched or generated, not kept here")
        return
    if path.suffix != ".py":
        return
    text = (root / path).read_text()
    lines = text.count("\n")
    if path.parts[0] == "src":
        if lines > LONGEST_FILE:
            yield Finding(path, lines, f"longer than {LONGEST_FILE} lines; split it by subject")
        yield from unresolved_refs(path, text, manuals)
        yield from matching_lines(path, text, UNFINISHED, "finish it, or model what is known")
    if path.parts[0] == "tests":
        yield from matching_lines(path, text, SKIPPING, "a test passes or fails")


def check_tree(root: Path) -> list[Finding]:
    """All findings, by path."""
    manuals = set(tomllib.loads((root / MANUALS).read_text()))
    return [finding for path in tracked_files(root) for finding in check_file(root, path, manuals)]


def main() -> int:
    """Print the findings; 1 if there are any."""
    findings = check_tree(ROOT)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
