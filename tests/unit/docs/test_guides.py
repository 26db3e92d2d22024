"""The guides quote code that is in the tree, and name files that exist."""

import re
from pathlib import Path

import pytest

import worldswitch

ROOT = Path(worldswitch.__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "guides").glob("*.md"))
QUOTE = re.compile(r"^```python\n# (src/\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`((?:src|tests|arch|metal|hypervisor|machine|lab)/[\w/]+(?:\.\w+)?)/?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_guide_quotes_the_code_as_it_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    quotes = QUOTE.findall(text)
    assert len(quotes) == text.count("```python")
    for path, code in quotes:
        assert code in (ROOT / path).read_text(encoding="utf-8"), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_guide_names_files_that_exist(page: Path) -> None:
    for name in FILE.findall(page.read_text(encoding="utf-8")):
        places = (ROOT / name, ROOT / "src" / "worldswitch" / name)
        assert any(place.exists() for place in places), name
