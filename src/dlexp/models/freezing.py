"""Frozen layers: their weights are not trained, and their batch norm and dropout stay in evaluation mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlexp.config.component import Transfer
from dlexp.errors import UserError, did_you_mean
from dlexp.models.summary import layers_of

if TYPE_CHECKING:
    from torch import nn
    from torch.nn import Parameter


class Freezing:
    """The layers that `model.freeze` names, frozen for the first `unfreeze_at` epochs, or for all.

    Raises UserError if there is no such layer, or none is left to be trained.
    """

    def __init__(self, model: nn.Module, transfer: Transfer):
        self._model, self._until = model, transfer.unfreeze_at
        self._modules = _chosen(model, transfer)
        parameters = {id(p): p for module in self._modules for p in module.parameters() if p.requires_grad}
        self._parameters: list[Parameter] = list(parameters.values())
        if transfer.unfreeze_at is not None and not self._modules:
            raise UserError(f"model.unfreeze_at={transfer.unfreeze_at} needs model.freeze: nothing is frozen.")
        # What is trained sooner or later: all of it if layers are unfrozen.
        never = set() if transfer.unfreeze_at is not None else parameters.keys()
        self.trained = [p for p in model.parameters() if p.requires_grad and id(p) not in never]
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """Put the model in training mode, and its layers that are frozen in this epoch in evaluation mode."""
        self._model.train()
        frozen = bool(self._modules) and (self._until is None or epoch < self._until)
        for module in self._modules:
            module.train(not frozen)
        for parameter in self._parameters:
            parameter.requires_grad_(not frozen)


def parts_of(model: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return backbone and head: a model's own, or else all layers but the last with parameters, and that one."""
    if hasattr(model, "backbone") and hasattr(model, "head"):
        return [model.backbone], [model.head]  # type: ignore[list-item]
    layers = [module for _, module in layers_of(model)]
    head = next(m for m in reversed(layers) if any(True for _ in m.parameters(recurse=False)))
    return [module for module in layers if module is not head], [head]


def _chosen(model: nn.Module, transfer: Transfer) -> list[nn.Module]:
    freeze = transfer.freeze
    if freeze is None:
        return []
    if freeze == "backbone":
        return parts_of(model)[0]
    weighted = [m for _, m in layers_of(model) if any(True for _ in m.parameters(recurse=False))]
    if isinstance(freeze, int):
        if freeze >= len(weighted):
            raise UserError(
                f"model.freeze={freeze}: the model has {len(weighted)} layers with weights, the last its head."
            )
        return weighted[:freeze]
    known = {name: module for name, module in model.named_modules() if name}
    for name in freeze:
        if name not in known:
            raise UserError(f"model.freeze: there is no layer {name}.{did_you_mean(name, known)}")
    return [known[name] for name in freeze]
