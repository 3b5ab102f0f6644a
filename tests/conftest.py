"""What several modules start from: a checkout in which the default pipeline ran, tiny."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkout import Pipeline, check_out

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole pipelines first: a minute's test at the end of a run leaves the other workers idle."""
    items.sort(key=lambda item: item.path.parent != FOLDER)


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Not to be changed: `copy` it."""
    folder = tmp_path_factory.mktemp("ran") / "checkout"
    pipeline = check_out(folder, ["Makefile", "profiles", "studies"])
    pipeline.repro()
    return pipeline
