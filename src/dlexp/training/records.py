"""What a run writes of its steps and epochs, where it is asked to, beside metrics.csv."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dlexp.models.layers import ACTIVATIONS
from dlexp.runs.directory import EVALUATIONS, GRADIENTS, STEPS, UNITS
from dlexp.training import evaluation as evaluate
from dlexp.training.job import Job
from dlexp.training.session import Session

UNITS_SAMPLES = 256  # of train, that dead and saturated units are looked for with
FLAT = 0.05  # of its largest slope: where an activation counts as saturated; tanh beyond ±2.18, sigmoid beyond ±4.36


def log_step(session: Session, size: int) -> None:
    """Add the last step's row to steps.csv; reads from the device, so costs a synchronization."""
    job, progress = session.job, session.progress
    loss, measured, penalty = session.totals[:, progress.position - 1].tolist()
    lr = job.optimizer.param_groups[0]["lr"]
    row = {"train/loss": loss, f"train/{job.measure.name}": measured / size, "train/penalty": penalty, "lr": lr}
    session.tables[STEPS].append({"step": progress.step, "epoch": progress.epoch + 1, **row})


def log_evaluation(session: Session) -> None:
    """Add to evaluations.csv how every split but train stands after this step."""
    metrics = evaluate_held_out(session.job, lambda: False)  # a signal waits for it, or the row would be lost
    session.job.model.train()
    progress = session.progress
    session.tables[EVALUATIONS].append({"step": progress.step, "epoch": progress.epoch + 1, **metrics})


def log_gradients(session: Session) -> None:
    """Add to gradients.csv the norms Σ|g| and √Σg² of each layer's weight gradient in the epoch's last step."""
    weights = [(name, p) for name, p in session.job.model.named_parameters() if p.dim() > 1 and p.grad is not None]
    for layer, (name, parameter) in enumerate(weights, 1):
        gradient = parameter.grad.double()  # type: ignore[union-attr]
        norms = {"l1": gradient.abs().sum().item(), "l2": gradient.square().sum().sqrt().item()}
        session.tables[GRADIENTS].append(
            {"epoch": session.progress.epoch + 1, "layer": layer, "parameter": name, **norms}
        )


def log_units(session: Session) -> None:
    """Add to units.csv the share of dead and of saturated units of each activation, on the first samples of train.

    A unit (of images: a channel) is dead where it gives 0 for every sample. Saturated is the share of all values whose
    slope is at most 5 % of the activation's largest: of ReLU, those that are off.
    """
    model = session.job.model
    inputs, _ = next(session.job.batches.serve("train", UNITS_SAMPLES))
    seen: list[tuple[str, nn.Module, Tensor]] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
        return lambda module, inputs, output: seen.append((name, module, inputs[0]))

    kinds = {layer.path.rpartition(".")[2] for name, layer in ACTIVATIONS.items() if name != "identity"}
    activations = [(name, module) for name, module in model.named_modules() if type(module).__name__ in kinds]
    hooks = [module.register_forward_hook(note(name)) for name, module in activations]
    model.eval()
    with torch.no_grad():
        model(inputs)
    for hook in hooks:
        hook.remove()
    for layer, (name, module, x) in enumerate(seen, 1):
        with torch.no_grad():
            units = module(x).transpose(0, 1).flatten(1)
        steepest = _slopes(module, torch.linspace(-8, 8, 1601, device=x.device)).max()
        shares = {
            "dead": (units == 0).all(1).double().mean().item(),
            "saturated": (_slopes(module, x) <= FLAT * steepest).double().mean().item(),
        }
        row = {"epoch": session.progress.epoch + 1, "layer": layer, "module": f"{name} {type(module).__name__}"}
        session.tables[UNITS].append({**row, "units": len(units), **shares})


def evaluate_held_out(job: Job, stop: Callable[[], bool]) -> dict[str, float]:
    """Return the metrics of validation and test, or nothing where a stop is asked for in between."""
    metrics: dict[str, float] = {}
    for split in job.batches.splits[1:]:
        outputs = evaluate.predict(job.model, job.evaluation_batches(split), job.autocast(), stop)
        if outputs is None:
            return {}
        scores = evaluate.score(outputs, job.batches.targets(split), job.loss.function, job.measure)
        metrics |= {f"{split}/{name}": value for name, value in scores.items()}
    return metrics


def _slopes(activation: nn.Module, x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = activation(x)
        return torch.autograd.grad(y.sum(), x)[0].abs() if y.requires_grad else torch.zeros_like(x)
