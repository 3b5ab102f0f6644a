"""What of our code a fingerprint covers: all that a module runs or reads, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from parrot_data.stores import sources
from parrot_data.stores.sources import code_of, sources_of

FILES = {
    "__init__.py": "",
    "stage.py": "import json\nimport numpy as np\nfrom toys import later\nimport toys.room.near\n",
    "later.py": "def f():\n    from .room.deep import value\n",
    "stranger.py": "import toys.stage\n",
    "stage.csv": "beside one that does not look",
    "room/__init__.py": "x = 1\n",
    "room/near.py": "from pathlib import Path\nFOLDER = Path(__file__).parent / 'assets'\n",
    "room/page.html": "data",
    "room/.page.html.swp": "of an editor",
    "room/assets/robot.urdf": "data",
    "room/deep.py": "from ..other import value as value\n",
    "room/lonely.py": "",
    "room/inner/__init__.py": "",
    "room/inner/data.json": "data of another package",
    "other.py": "value = 1\n",
}
EXPECTED = {
    "toys/stage.py", "toys/later.py", "toys/other.py", "toys/room/__init__.py", "toys/room/near.py",
    "toys/room/deep.py", "toys/room/page.html", "toys/room/assets/robot.urdf",
}  # fmt: skip


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "toys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sources, "PACKAGES", ("toys",))
    return tmp_path


def test_it_is_all_that_is_imported_or_read_and_no_more(toys: Path) -> None:
    assert set(sources_of("toys.stage")) == EXPECTED
    assert all((toys / name) == path for name, path in sources_of("toys.stage").items())


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_edit_shows_just_where_it_matters(toys: Path, name: str) -> None:
    before = code_of("toys.stage")
    with (toys / "toys" / name).open("a") as file:
        file.write("\n")
    may_show = f"toys/{name}" in EXPECTED or name == "__init__.py"  # it is no longer empty
    assert (code_of("toys.stage") != before) == may_show


def test_versions_are_those_of_what_is_imported(toys: Path) -> None:
    assert set(code_of("toys.stage")["libraries"]) == {"numpy"}


def test_there_must_be_such_a_module(toys: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"toys\.nothing"):
        code_of("toys.nothing")
