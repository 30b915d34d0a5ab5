"""Models: each has one file, and MODELS names them."""

from dlexp.config.lazy import nn
from dlexp.config.registry import Registry
from dlexp.models.layers import layers
from dlexp.models.mlp import mlp
from dlexp.models.published import pretrained

MODELS: Registry["nn.Module"] = Registry(
    "model",
    {"mlp": mlp, "layers": layers, "pretrained": pretrained},
    product=lambda: nn.Module,
    example="def net(*, input_shape, num_outputs):\n    return torch.nn.Linear(input_shape[0], num_outputs)",
)
