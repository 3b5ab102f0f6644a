"""The panels of `parrot --help`: a command is registered under one of them."""

from __future__ import annotations

PIPELINE = "Pipeline"
DATA = "Data"
STUDIES = "Studies"
TOOLS = "Tools"
MAINTENANCE = "Maintenance of Parrot itself"

PANELS = (PIPELINE, DATA, STUDIES, TOOLS, MAINTENANCE)  # in the order in which help shows them
