"""Batch norm by formula, of vectors and of images, in training and in test; layer norm beside it (dl_hw3 ex08).

Ioffe and Szegedy (2015), "Batch Normalization"; Ba, Kiros and Hinton (2016), "Layer Normalization".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from dlexp.config.lazy import F, init, nn, torch
from dlexp.config.schema import Count, Interval, Seed
from dlexp.demonstrations.sides import Demonstration, Sides, Table

if TYPE_CHECKING:
    from torch import Tensor, nn

EPSILON = 1e-5  # PyTorch's default, of both norms
MOMENTUM = 0.1  # PyTorch's default: the share of the newest batch in the running statistics

Samples = Annotated[int, Interval(2)]  # one sample has no variance


def batch_norm(samples: Samples = 6, features: Count = 3, seed: Seed = 0) -> Demonstration:
    """Compare batch norm's outputs (N, features) and gradients by formula with PyTorch's, and ε added with ε taken off.

    x̂ = (x − μ) / √(σ² + ε) and y = γ x̂ + β, with the mean μ and the variance σ² (divided by N) of the batch.
    """
    generator = torch.Generator().manual_seed(seed)
    x = _inputs(generator, samples, features).requires_grad_()
    norm = nn.BatchNorm1d(features, dtype=torch.float64)
    _draw_scale_and_shift(norm, generator)
    y = norm(x)
    d_y = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    found = torch.autograd.grad(y, [norm.weight, norm.bias, x], d_y)
    with torch.no_grad():
        mean, variance = x.mean(0), x.var(0, correction=0)
        normal = (x - mean) / (variance + EPSILON).sqrt()
        scale = norm.weight / (variance + EPSILON).sqrt()
        formulas = {
            "∂E/∂γ = Σ ∂E/∂y x̂": (d_y * normal).sum(0),
            "∂E/∂β = Σ ∂E/∂y": d_y.sum(0),
            "∂E/∂x = γ / √(σ² + ε) (∂E/∂y − mean(∂E/∂y) − x̂ mean(∂E/∂y x̂))": scale
            * (d_y - d_y.mean(0) - normal * (d_y * normal).mean(0)),
        }
    sides = [Sides("y = γ x̂ + β", norm.weight.detach() * normal + norm.bias.detach(), y.detach())]
    sides += [Sides(what, value, its) for (what, value), its in zip(formulas.items(), found, strict=True)]
    columns = ("feature", "mean μ", "variance σ²", "mean of x̂", "variance of x̂")
    values = zip(*(t.tolist() for t in (mean, variance, normal.mean(0), normal.var(0, correction=0))), strict=True)
    slip, added = _epsilon_taken_off()
    return Demonstration(
        [*sides, added],
        {
            "Each feature of the batch": Table(columns, [(i, *row) for i, row in enumerate(values, 1)]),
            f"The deviation of a normalized feature, with ε = {EPSILON:g} added and taken off": slip,
        },
        findings=[
            "The gradient of x has three terms because μ and σ² depend on x too. To shift the whole batch changes "
            f"nothing, so the gradients of a feature add up to 0 (here {found[2].sum(0).abs().max():.0e}).",
            "ε has to be added. Taken off, a feature whose variance is below ε has the root of a negative number, a "
            "constant feature among them; at ε it divides by 0, and a little above it the output is too large.",
        ],
    )


def _epsilon_taken_off() -> tuple[Table, Sides]:
    """Return σ / √(σ² ± ε) for some variances, and the statement that the sum is what PyTorch computes."""
    variances = (1.0, 1e-3, 2e-5, 1e-5, 1e-6, 0.0)
    added = [math.sqrt(variance / (variance + EPSILON)) for variance in variances]
    rows: list[tuple[str | float, ...]] = []
    for variance, deviation in zip(variances, added, strict=True):
        less = variance - EPSILON
        taken_off = f"{math.sqrt(variance / less):.4f}" if less > 0 else "√ of less than 0" if less else "division by 0"
        rows.append((f"{variance:g}", deviation, taken_off))
    both_signs = torch.tensor([[1.0], [-1.0]], dtype=torch.float64) * torch.tensor(variances).double().sqrt()
    output = nn.BatchNorm1d(len(variances), dtype=torch.float64)(both_signs).detach()
    return (
        Table(("variance σ²", "σ / √(σ² + ε)", "σ / √(σ² − ε)"), rows),
        Sides("σ / √(σ² + ε) = deviation of BatchNorm1d's output", added, output.std(0, correction=0), 1e-7),
    )


def running_statistics(batches: Count = 20, samples: Samples = 8, features: Count = 3, seed: Seed = 0) -> Demonstration:
    """Compare batch norm's running statistics and its test outputs by formula with PyTorch's, and test single samples.

    After each batch: running ← 0.9 running + 0.1 batch's, with the variance divided by N − 1.
    """
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm1d(features, dtype=torch.float64)
    _draw_scale_and_shift(norm, generator)
    mean, variance = torch.zeros(features, dtype=torch.float64), torch.ones(features, dtype=torch.float64)
    for _ in range(batches):
        x = _inputs(generator, samples, features)
        norm(x)
        mean = (1 - MOMENTUM) * mean + MOMENTUM * x.mean(0)
        variance = (1 - MOMENTUM) * variance + MOMENTUM * x.var(0)
    untracked = nn.BatchNorm1d(features, track_running_stats=False, dtype=torch.float64)
    untracked.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    norm.eval()
    untracked.eval()
    x = _inputs(generator, samples, features)
    with torch.no_grad():
        y, alone, of_batch = norm(x), norm(x[:1]), untracked(x)
        normal = (x - mean) / (variance + EPSILON).sqrt()
        own = norm.weight * _normalized(x, 0) + norm.bias
        single = norm.weight * _normalized(x[:1], 0) + norm.bias
        beneath = torch.batch_norm(x[:1], norm.weight, norm.bias, None, None, True, 0, EPSILON, False)
    refused = [_refusal(each, x[:1]) for each in (untracked, norm.train())]
    assert refused[0] == refused[1]
    return Demonstration(
        [
            Sides("running mean", mean, norm.running_mean),
            Sides("running variance", variance, norm.running_var),
            Sides(
                "test output = γ (x − running mean) / √(running variance + ε) + β",
                norm.weight.detach() * normal + norm.bias.detach(),
                y,
            ),
            Sides("a test sample alone = the same sample in its batch", alone[0], y[0]),
            Sides("without running statistics, test output = γ x̂ + β of the test batch itself", own, of_batch),
            Sides("without them, a test sample alone gives β (PyTorch: below its check)", single, beneath),
        ],
        {
            "One test sample": Table(
                ("", *(f"feature {i + 1}" for i in range(features))),
                [
                    ("input x", *x[0].tolist()),
                    ("output with running statistics", *y[0].tolist()),
                    ("without them, in its batch", *of_batch[0].tolist()),
                    ("without them, alone, by formula", *single[0].tolist()),
                    ("β", *norm.bias.tolist()),
                ],
            )
        },
        findings=[
            "Test inputs do not pass unchanged: the running statistics alone (γ = 1, β = 0) move them by "
            f"{(normal - x).abs().mean():.3g} on average, and with γ and β it is {(y - x).abs().mean():.3g}.",
            "With track_running_stats=False the output of a sample depends on the test batch that it is in: it differs "
            f"by {(of_batch - y).abs().mean():.3g} on average. In a batch of one x − μ = 0: every input gives β.",
            "BatchNorm1d refuses a batch of one in train(), and without running statistics in eval() too: "
            f"“{refused[0]}”.",
        ],
    )


def _refusal(norm: nn.Module, x: Tensor) -> str:
    try:
        norm(x)
    except ValueError as error:
        return str(error)
    raise AssertionError("PyTorch takes a batch of one sample")


def batch_norm_of_images(
    samples: Samples = 4, channels: Count = 3, side: Annotated[int, Interval(2)] = 5, seed: Seed = 0
) -> Demonstration:
    """Compare batch norm of images (N, C, H, W) by formula, with statistics over N, H and W, with BatchNorm2d."""
    generator = torch.Generator().manual_seed(seed)
    x = _inputs(generator, samples, channels, side, side)
    norm = nn.BatchNorm2d(channels, dtype=torch.float64)
    _draw_scale_and_shift(norm, generator)
    with torch.no_grad():
        y, gamma, beta = norm(x), norm.weight[:, None, None], norm.bias[:, None, None]
        pixels = x.movedim(1, 3).reshape(-1, channels)
        as_samples = F.batch_norm(pixels, None, None, norm.weight, norm.bias, training=True)
        by_formula = gamma * _normalized(x, (0, 2, 3)) + beta
        each_place = gamma * _normalized(x, 0) + beta
        statistics = [t.mean((0, 2, 3)) for t in (x, y)] + [t.std((0, 2, 3), correction=0) for t in (x, y)]
    count = sum(p.numel() for p in norm.parameters())
    rows = zip(*(t.tolist() for t in (*statistics[::2], *statistics[1::2])), strict=True)
    columns = ("channel", "mean of x", "deviation of x", "mean of y", "deviation of y", "β", "γ")
    own = zip(norm.bias.tolist(), norm.weight.tolist(), strict=True)
    return Demonstration(
        [
            Sides("y = γ x̂ + β with μ and σ² over N, H and W", by_formula, y),
            Sides("y = batch norm of all pixels as samples", as_samples, y.movedim(1, 3).reshape(-1, channels)),
            Sides("the mean of a channel's outputs is its β", statistics[1], norm.bias.detach()),
            Sides("parameters: γ and β of each channel", 2 * channels, count),
        ],
        {
            "Each channel, over all samples and pixels": Table(
                columns, [(i, *row, *its) for i, (row, its) in enumerate(zip(rows, own, strict=True), 1)]
            )
        },
        findings=[
            f"The {samples} images of {side} × {side} pixels give each channel {samples * side * side} numbers for one "
            "mean and one variance, because a convolution has the same weights at every pixel.",
            f"Statistics of each pixel over the batch alone would be others: the outputs differ by "
            f"{(each_place - y).abs().mean():.3g} on average, and γ and β of each pixel would be "
            f"{2 * channels * side * side} parameters, not {count}.",
        ],
    )


def layer_norm(
    samples: Annotated[int, Interval(3)] = 4, features: Annotated[int, Interval(2)] = 5, seed: Seed = 0
) -> Demonstration:
    """Compare batch norm and layer norm of (N, features), by formula and in PyTorch, and change all samples but one.

    Of two samples batch norm keeps only which is larger, so that its outputs might not change.
    """
    generator = torch.Generator().manual_seed(seed)
    x = _inputs(generator, samples, features)
    others = torch.cat([x[:1], 10 * _inputs(generator, samples - 1, features)])
    modules = {
        "batch norm": (nn.BatchNorm1d(features, dtype=torch.float64), 0),
        "layer norm": (nn.LayerNorm(features, dtype=torch.float64), 1),
    }
    sides, rows, moved = [], [], {}
    with torch.no_grad():
        for name, (norm, dim) in modules.items():
            y = norm(x)
            moved[name] = float((norm(others)[0] - y[0]).abs().max())
            over = "the samples, for each feature" if dim == 0 else "the features, for each sample"
            sides.append(Sides(f"{name}: μ and σ² over {over}", _normalized(x, dim), y))
            rows.append((name, over, float(y.mean(0).abs().max()), float(y.mean(1).abs().max()), moved[name]))
    sides.append(Sides("layer norm of a sample does not change with the other samples", moved["layer norm"], 0, 0))
    sides.append(Sides("batch norm of a sample does", 0.01, moved["batch norm"], relation="<"))
    columns = ("", "μ and σ² over", "largest mean of a feature", "largest mean of a sample", "change of sample 1")
    return Demonstration(
        sides,
        {"Outputs, and what changing all samples but the first does to it": Table(columns, rows)},
        findings=[
            "Batch norm gives each feature a mean of 0 over the batch, layer norm gives each sample a mean of 0 over "
            "its features: the column with 0 shows which.",
            f"If all other samples change, the first sample's outputs move by up to {moved['batch norm']:.3g} under "
            f"batch norm and by {moved['layer norm']:g} under layer norm. So layer norm needs no running statistics, "
            "does the same in training and in test, and takes a batch of one.",
        ],
    )


def _inputs(generator: torch.Generator, *shape: int) -> Tensor:
    """Return normal inputs with mean 3 and deviation 2, so that there is something to normalize."""
    return 3 + 2 * torch.randn(shape, generator=generator, dtype=torch.float64)


def _draw_scale_and_shift(norm: nn.Module, generator: torch.Generator) -> None:
    """Draw γ and β: at 1 and 0, where they start, a formula without them would pass."""
    for parameter in norm.parameters():
        init.normal_(parameter, generator=generator)


def _normalized(x: Tensor, dims: int | tuple[int, ...]) -> Tensor:
    variance = x.var(dims, correction=0, keepdim=True)
    return (x - x.mean(dims, keepdim=True)) / (variance + EPSILON).sqrt()
