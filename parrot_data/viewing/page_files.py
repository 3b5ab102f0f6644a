"""The files of the page itself, the same for every dataset: they lie in `page/`."""

from __future__ import annotations

import shutil
from pathlib import Path

_PAGE = Path(__file__).parent / "page"
INDEX_PAGE = "index.html"
PAGE_FILES = (
    INDEX_PAGE,
    *(f"page/{p.name}" for p in sorted(_PAGE.iterdir()) if p.suffix in (".css", ".js")),
)


def copy_page(folder: Path) -> None:
    """Copy the page's files into a folder, by their names in `PAGE_FILES`."""
    (folder / "page").mkdir(exist_ok=True)
    for name in PAGE_FILES:
        shutil.copyfile(_PAGE / Path(name).name, folder / name)
