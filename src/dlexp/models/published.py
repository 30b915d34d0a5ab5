"""Nets that were trained elsewhere: torchvision's by their names, timm's as timm/NAME, weights by name or file."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

from dlexp.config.component import Interpolation
from dlexp.config.lazy import nn, torch, torchvision_models
from dlexp.errors import JobError, UserError, did_you_mean
from dlexp.models.summary import run_on_zeros
from dlexp.storage.untrusted import file_sha256

TIMM = "timm/"
_COUNTER = "num_batches_tracked"  # of batch norm; no forward pass reads it, and older files lack it


class Wanted(NamedTuple):
    """The preprocessing that weights were trained with: sizes in pixels, mean and deviation in the unit interval."""

    resize: int  # of the shorter side, before the crop
    image_size: int
    interpolation: Interpolation
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def pretrained(
    architecture: str = "efficientnet_b0",
    weights: str | None = "default",
    *,
    input_shape: tuple[int, ...],
    num_outputs: int,
) -> nn.Module:
    """Build torchvision's (or timm's) net with a new linear head; `load_weights` gives it the weights.

    `weights` are the published ones (default, or their name), a file, an installed package that holds one, or null:
    random ones. The model takes (N, 3, height, width). Raises UserError if there is no such architecture or it cannot
    take the inputs.
    """
    from dlexp.models.backbone import Backbone

    if len(input_shape) != 3 or input_shape[0] != 3:
        raise UserError(
            f"model.architecture={architecture} takes images in three colours, not {input_shape}. "
            "dataset.preprocessing=weights makes them of grey ones."
        )
    model = Backbone(published_net(architecture), num_outputs)
    try:
        run_on_zeros(model, input_shape)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UserError(f"model.architecture={architecture} cannot take images of {input_shape}: {error}") from error
    return model


def published_net(architecture: str) -> nn.Module:
    """Return the net with random weights and its published head. Raises UserError if there is none of this name."""
    if architecture.startswith(TIMM):
        timm, name = _timm(), architecture.removeprefix(TIMM)
        if not timm.is_model(name):
            near = did_you_mean(name, timm.list_models())
            raise UserError(f"model.architecture={architecture}: timm has no {name}.{near}")
        net: nn.Module = timm.create_model(name, pretrained=False)
        return net
    known = torchvision_models.list_models(module=torchvision_models)
    if architecture not in known:
        raise UserError(
            f"model.architecture={architecture}: torchvision has no such net.{did_you_mean(architecture, known)} "
            "timm's are called timm/NAME."
        )
    extra = {"init_weights": True} if architecture in ("googlenet", "inception_v3") else {}
    net = torchvision_models.get_model(architecture, weights=None, **extra)
    if getattr(net, "aux_logits", False):  # Inception's further heads, which training alone uses
        net.aux_logits = False  # type: ignore[assignment]
        for name in [name for name, _ in net.named_children() if name.lower().startswith("aux")]:
            setattr(net, name, None)
    return net


def preprocessing_of(architecture: str, weights: str | None) -> Wanted:
    """Return the preprocessing of the architecture's weights; of a file, that of its published ones.

    Raises UserError if there is no such architecture, or it has no weights of this name.
    """
    if architecture.startswith(TIMM):
        timm = _timm()
        published_name = architecture.removeprefix(TIMM)
        if not timm.is_model(published_name):
            published_net(architecture)
        facts = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(published_name).to_dict())
        size = facts["input_size"][-1]
        resize = int(size / facts["crop_pct"])  # as timm.data.transforms_factory rounds it
        return Wanted(resize, size, facts["interpolation"], tuple(facts["mean"]), tuple(facts["std"]))
    transforms = _published(architecture, weights).transforms()
    (resize,), (size,) = transforms.resize_size, transforms.crop_size
    mode = transforms.interpolation.value
    return Wanted(resize, size, mode, tuple(transforms.mean), tuple(transforms.std))


def load_weights(model: nn.Module, architecture: str, weights: str | None) -> list[str]:
    """Give a `Backbone`, or a whole net, its weights: by name (fetched, checked) or file. Return what is worth saying.

    Raises UserError if the file does not fit, JobError if it cannot be fetched.
    """
    if weights is None:
        return []
    if (path := _file(weights)) is not None:
        return _load(model, _read(path), str(path))
    if architecture.startswith(TIMM):
        return _load(model, _timm_weights(architecture), architecture)
    return _load(model, _read(_fetched(_published(architecture, weights))), f"{architecture}'s weights")


def class_names(architecture: str) -> list[str]:
    """Return the names of the 1,000 classes of ImageNet, which the published heads tell apart."""
    name = "efficientnet_b0" if architecture.startswith(TIMM) else architecture
    return list(_published(name, "default").meta["categories"])


def _load(model: nn.Module, state: dict[str, Any], whence: str) -> list[str]:
    """Load all but the old head. If the names differ, the order and shapes of all tensors decide."""
    notes = []
    state = {name: tensor for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}
    whole: Any = model
    old_head = getattr(model, "old_head", None)
    net: nn.Module = whole.backbone if old_head else whole
    published = whole.published if old_head else [(name, tuple(each.shape)) for name, each in net.state_dict().items()]
    wanted = [(name, shape) for name, shape in published if not name.endswith(_COUNTER)]
    if missing := [name for name, _ in wanted if name not in state]:
        found = [(name, tuple(tensor.shape)) for name, tensor in state.items() if not name.endswith(_COUNTER)]
        if [shape for _, shape in wanted] != [shape for _, shape in found]:
            raise UserError(f"model.weights={whence} does not fit the architecture: it has no {missing[0]}.")
        state = {name: state[other] for (name, _), (other, _) in zip(wanted, found, strict=True)}
        notes.append(f"{whence} has other names than the architecture: its tensors were matched by order and shape.")
    kept = {name: state[name] for name, _ in wanted if not (old_head and name.startswith(f"{old_head}."))}
    try:
        net.load_state_dict(kept, strict=False)
    except RuntimeError as error:
        raise UserError(f"model.weights={whence} does not fit the architecture: {error}") from error
    return notes


def _file(weights: str) -> Path | None:
    """Return the file that `weights` names: a path, or an installed package that holds one; None if it is no file."""
    if Path(weights).suffix or Path(weights).exists():
        return Path(weights)
    package = importlib.util.find_spec(weights) if weights.isidentifier() else None
    folders = (package.submodule_search_locations if package else None) or []
    return next((file for folder in folders for file in sorted(Path(folder).rglob("*.pth"))), None)


def _read(path: Path) -> dict[str, Any]:
    """Return a file's tensors by name, without running code of the file."""
    try:
        if path.suffix == ".safetensors":
            return dict(importlib.import_module("safetensors.torch").load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"model.weights={path}: there is no such file.") from None
    except Exception as error:
        raise UserError(f"model.weights={path} is not a file of weights: {error}") from error
    state = state.get("state_dict", state.get("model", state)) if isinstance(state, dict) else state
    if not isinstance(state, dict):
        raise UserError(f"model.weights={path} holds no tensors by name, but {type(state).__name__}.")
    return state


def _published(architecture: str, weights: str | None) -> Any:
    """Return torchvision's description of weights: their address, preprocessing and classes."""
    if architecture not in torchvision_models.list_models(module=torchvision_models):
        published_net(architecture)
    known = torchvision_models.get_model_weights(architecture)
    name = (weights or "default").upper()
    if weights is not None and _file(weights) is not None:
        name = "DEFAULT"
    if name not in known.__members__:
        raise UserError(
            f"model.weights={weights}: {architecture} has no such weights, and there is no such file."
            f"{did_you_mean(name, known.__members__)}"
        )
    return known[name]


def _fetched(published: Any) -> Path:
    """Return the file of published weights in PyTorch's own cache, and fetch it if it is not there.

    Its name ends with the first digits of its SHA-256, which is checked in any case.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(published.url).name
    digits = path.stem.rpartition("-")[2]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(published.url, str(path), hash_prefix=digits)
        except (OSError, RuntimeError) as error:
            raise JobError(
                f"{published.url} cannot be fetched: {error}. Fetch it elsewhere into {path.parent}, or name a file: "
                "model.weights=FILE."
            ) from error
    if not file_sha256(path).startswith(digits):
        raise UserError(f"{path} is damaged: its SHA-256 does not begin with {digits}. Delete it; it is fetched anew.")
    return path


def _timm_weights(architecture: str) -> dict[str, Any]:
    try:
        net = _timm().create_model(architecture.removeprefix(TIMM), pretrained=True)
    except Exception as error:  # the hub's client raises its own kinds
        raise JobError(
            f"timm's weights of {architecture} cannot be fetched: {error}. Name a file: model.weights=FILE."
        ) from error
    return dict(net.state_dict())


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError:
        raise UserError("model.architecture=timm/… needs timm: pip install 'dlexp[timm]'.") from None
