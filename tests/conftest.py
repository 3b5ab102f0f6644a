"""What several modules start from: a checkout in which the default pipeline ran, tiny."""

from __future__ import annotations

import pytest
from checkout import Pipeline, check_out


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Not to be changed: `copy` it."""
    folder = tmp_path_factory.mktemp("ran") / "checkout"
    pipeline = check_out(folder, ["Makefile", "profiles", "studies"])
    pipeline.repro()
    return pipeline
