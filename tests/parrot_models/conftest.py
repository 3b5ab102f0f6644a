"""One thread of torch, as in every process of the pipeline: tests run side by side."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
