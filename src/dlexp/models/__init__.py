"""Models: each has one file, and MODELS names them."""

from typing import TYPE_CHECKING

from dlexp.config.registry import Registry
from dlexp.models.layers import layers
from dlexp.models.mlp import mlp

if TYPE_CHECKING:
    from torch import nn

MODELS: Registry["nn.Module"] = Registry("model", {"mlp": mlp, "layers": layers})
