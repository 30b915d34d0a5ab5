"""Dropout as an ensemble, before batch norm, and of whole channels (dl_hw3 ex05 and ex08)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import numpy as np

from dlexp.config.lazy import nn, torch
from dlexp.config.schema import Count, Interval, Seed
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table

if TYPE_CHECKING:
    from torch import Tensor


def dropout_ensemble(inputs: Annotated[int, Interval(1, 12)] = 10, classes: Count = 4, seed: Seed = 0) -> Demonstration:
    """Compare softmax regression under all 2ⁿ masks of its inputs with one pass with halved weights.

    Goodfellow, Bengio and Courville (2016), section 7.12.
    """
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(classes, inputs, generator=generator, dtype=torch.float64)
    b, x = (torch.randn(n, generator=generator, dtype=torch.float64) for n in (classes, inputs))
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * inputs).view(-1, inputs)
    log_p = ((masks * x) @ w.T + b).log_softmax(1)
    geometric = log_p.mean(0).exp()
    halved = (w @ x / 2 + b).softmax(0)
    arithmetic = log_p.exp().mean(0)
    return Demonstration(
        [
            Sides(
                f"renormalized geometric mean over {len(masks)} masks = halved weights",
                geometric / geometric.sum(),
                halved,
            ),
            Sides("the arithmetic mean is near it, not equal", arithmetic, halved, relation="≈"),
        ]
    )


def variance_shift(
    rates: tuple[Annotated[float, Interval(0.01, 0.9)], ...] = (0.1, 0.3, 0.5),
    samples: Annotated[int, Interval(1000)] = 50_000,
    seed: Seed = 0,
) -> Demonstration:
    """Compare the variance that batch norm meets after dropout in training with that in test, by formula and sampled.

    Li, Chen, Hu and Yang (2018), "Understanding the disharmony between dropout and batch normalization by variance
    shift": dropout keeps the mean and adds p / (1 − p) · Σ w² E[h²] to the variance of w · h.
    """
    torch.manual_seed(seed)  # nn.Dropout takes no generator of its own
    z, signal, noise = torch.randn(samples, 1), torch.randn(samples, 1), torch.randn(samples, 8)
    one, eight = torch.ones(1), torch.rand(8)
    orders = {  # the units before dropout, and the weights between dropout and batch norm
        "dropout, batch norm": (z, one),
        "relu, dropout, batch norm": (z.relu(), one),
        "relu, dropout, linear, batch norm": (noise.relu(), eight),
        "the same with units that go together": ((signal + 0.5 * noise).relu(), eight),
    }
    sides, rows, curves = [], [], {}
    for order, (h, w) in orders.items():
        measured, errors = [], []
        for rate in rates:
            inputs, outputs = _batch_norm_after_dropout(h, w, rate)
            training, test = (float(y.var()) for y in inputs)
            fourth = float((inputs[0] - inputs[0].mean()).pow(4).mean())
            errors.append(math.sqrt(fourth - training**2) / math.sqrt(samples) / test)  # of the measured ratio
            measured.append(training / test)
            rows.append((order, rate, training, test, training / test, float(outputs[1].var())))
        formula = [_shift(h, w, rate) for rate in rates]
        sides.append(Sides(f"{order}: variance in training / in test", formula, measured, 5 * max(errors)))
        curves[order] = [(rate, _shift(h, w, float(rate))) for rate in np.linspace(0, 0.8, 41)]
    _, outputs = _batch_norm_after_dropout(noise.relu(), eight, rates[-1])
    return Demonstration(
        sides,
        {
            "Variance of batch norm's inputs, and of its outputs in test": Table(
                ("order", "rate p", "training", "test", "training / test", "outputs in test"), rows
            )
        },
        {
            "Variance of batch norm's inputs": Panel(curves, "rate p of dropout", "in training / in test"),
            f"Outputs after relu, dropout {rates[-1]:g}, linear, batch norm": Panel(
                {name: _density(y) for name, y in zip(("training", "test"), outputs, strict=True)}, "output", "density"
            ),
        },
        [
            "Dropout keeps the mean of what follows and adds to its variance, in training only. Batch norm divides by "
            f"the deviation of training also in test: with p = {rates[-1]:g} after relu its outputs have variance "
            f"{rows[2 * len(rates) - 1][-1]:.2f} in test, but the layers above have learned from variance 1.",
            "A linear layer between them does not help if the units are independent. If they go together, it adds up "
            "the signal more than the noise of dropout, and the shift is smaller. Dropout after the last batch norm "
            "shifts nothing that a batch norm sees.",
        ],
    )


def _batch_norm_after_dropout(h: Tensor, w: Tensor, rate: float) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and the outputs of batch norm after dropout and the weights, each in training and in test."""
    net = nn.Sequential(nn.Dropout(rate), linear := nn.Linear(len(w), 1, bias=False))
    norm = nn.BatchNorm1d(1, momentum=None)  # its running statistics are those of the one batch
    inputs, outputs = [], []
    with torch.no_grad():
        linear.weight.copy_(w)
        for training in (True, False):
            inputs.append(net.train(training)(h))
            outputs.append(norm.train(training)(inputs[-1]))
    return inputs, outputs


def _shift(h: Tensor, w: Tensor, rate: float) -> float:
    """Return Var(w · dropout(h)) / Var(w · h), from the moments of h."""
    return float(1 + rate / (1 - rate) * (w.square() @ h.square().mean(0)) / (h @ w).var())


def _density(values: Tensor) -> np.ndarray:
    heights, edges = np.histogram(values, bins=60, range=(-4, 4), density=True)
    return np.stack([(edges[:-1] + edges[1:]) / 2, heights], 1)


def dropped_channels(
    rate: Annotated[float, Interval(0.05, 0.95)] = 0.5,
    channels: Annotated[int, Interval(1000)] = 20_000,
    seed: Seed = 0,
) -> Demonstration:
    """Compare Dropout and Dropout2d of images (1, C, H, W): the shares of zeros and of zero channels.

    Tompson et al. (2015), "Efficient object localization using convolutional networks", drop whole channels, because
    neighbouring pixels say much the same.
    """
    torch.manual_seed(seed)  # the layers take no generator of their own
    heights = (1, 2, 3)
    pixels = [height * height for height in heights]
    expected = {"Dropout": [rate**n for n in pixels], "Dropout2d": [rate] * 3}
    noise = {"Dropout": [rate / (1 - rate) / n for n in pixels], "Dropout2d": [rate / (1 - rate)] * 3}
    sides: list[Sides] = []
    rows: list[tuple[str | float, ...]] = []
    curves = {}
    for name, layer in {"Dropout": nn.Dropout(rate), "Dropout2d": nn.Dropout2d(rate)}.items():
        images = [layer(torch.ones(1, channels, height, height))[0] for height in heights]
        zeros = [float((image == 0).float().mean()) for image in images]
        zero_channels = [float((image == 0).all(2).all(1).float().mean()) for image in images]
        variances = [float(image.mean((1, 2)).var()) for image in images]
        # Five standard deviations of a share of so many channels, of which the largest is 0.5 / √channels.
        tolerance = 2.5 / math.sqrt(channels)
        sides += [
            Sides(f"{name}: share of zeros = p", zeros, [rate] * 3, tolerance),
            Sides(
                f"{name}: share of zero channels = {'pⁿ' if name == 'Dropout' else 'p'}",
                zero_channels,
                expected[name],
                tolerance,
            ),
        ]
        sizes = [f"{height} × {height}" for height in heights]
        rows += zip([name] * 3, sizes, zeros, zero_channels, expected[name], variances, noise[name], strict=True)
        curves[name] = list(zip(pixels, zero_channels, strict=True))
    columns = ("layer", "pixels", "zeros", "zero channels", "expected", "variance of a channel's mean", "expected")
    return Demonstration(
        sides,
        {f"Channels of ones after dropout with p = {rate:g}": Table(columns, rows)},
        {"Channels that are dropped whole": Panel(curves, "pixels of a channel", "share of the channels", log="y")},
        [
            f"Both set {rate:g} of the numbers to 0. Dropout does so pixel by pixel, so that a channel of n pixels "
            "vanishes with probability pⁿ, next to never in an image; Dropout2d drops whole channels with p.",
            "Neighbouring pixels say much the same, and a convolution adds them up. In the mean of n equal pixels the "
            "variance that Dropout adds is p / (1 − p) / n, so it disturbs little; that of Dropout2d is p / (1 − p).",
        ],
    )
