"""A net in two parts: the backbone, trained elsewhere, which gives features, and the head, which classifies them."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from dlexp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

# A backbone in evaluation mode takes so many samples at a time, the last ones padded with zeros: kernels may compute
# other bits for another number of samples, and a sample's features must be the same in whichever batch it comes.
TOGETHER = 16
_AFTER = (nn.Identity, nn.Flatten, nn.Dropout)  # what may follow the last linear layer, or stands before it


class Backbone(nn.Module):
    """A net whose last linear layer (with a dropout before it) becomes a new head of `num_outputs`.

    Takes (N, channels, height, width), or features (N, F) if `takes_features`, and gives (N, num_outputs).
    `published` lists the names and shapes of the whole net's tensors, as a file of its weights has them; the names of
    the old head's begin with `old_head`. Raises UserError if the net does not end in a linear layer.
    """

    def __init__(self, net: nn.Module, num_outputs: int):
        super().__init__()
        self.published = [(name, tuple(tensor.shape)) for name, tensor in net.state_dict().items()]
        leaves = [(name, module) for name, module in net.named_modules() if not any(module.children())]
        while leaves and isinstance(leaves[-1][1], _AFTER):
            leaves.pop()
        if not leaves or not isinstance(leaves[-1][1], nn.Linear):
            last = type(leaves[-1][1]).__name__ if leaves else "nothing"
            raise UserError(
                f"{type(net).__name__} ends in {last}, not in a linear layer that a new head could replace."
            )
        self.old_head, last = leaves[-1]
        head = nn.Linear(last.in_features, num_outputs)
        dropout = leaves[-2] if len(leaves) > 1 and isinstance(leaves[-2][1], nn.Dropout) else None
        net.set_submodule(self.old_head, nn.Identity())
        if dropout is not None:
            net.set_submodule(dropout[0], nn.Identity())
        self.backbone = net
        self.head = head if dropout is None else nn.Sequential(nn.Dropout(dropout[1].p), head)
        self.takes_features = False

    def forward(self, inputs: "Tensor") -> "Tensor":
        """Return the outputs (N, num_outputs)."""
        features = inputs if self.takes_features else self.features(inputs)
        outputs: Tensor = self.head(features)
        return outputs

    def features(self, images: "Tensor") -> "Tensor":
        """Return the features (N, F) of images; in evaluation mode, those of a sample do not depend on its batch."""
        if self.backbone.training:
            features: Tensor = self.backbone(images)
            return features
        size = len(images)
        padding = images.new_zeros(-size % TOGETHER, *images.shape[1:])
        parts = torch.cat([images, padding]).split(TOGETHER)
        return torch.cat([self.backbone(part) for part in parts])[:size]
