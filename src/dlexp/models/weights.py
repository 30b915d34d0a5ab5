"""The weights of a model, as penalties and norms of gradients mean them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

NORM = re.compile(r"Norm(Act)?(\d|$)")  # LayerNorm, BatchNorm2d, a user's own LayerNorm2d, timm's BatchNormAct2d


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return by name the weights of linear, convolution and similar layers, without biases and norms' parameters.

    They are the parameters of two dimensions or more, but not those of a norm, which its class's name tells: a
    LayerNorm over (channels, height, width) has a weight of three dimensions.
    """
    of_norms = {
        id(parameter)
        for module in model.modules()
        if NORM.search(type(module).__name__)
        for parameter in module.parameters(recurse=False)
    }
    return {name: p for name, p in model.named_parameters() if p.dim() > 1 and id(p) not in of_norms}
