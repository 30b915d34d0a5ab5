"""Small nets worked by formula: one update by hand, and an error on its way through pooling (dl_hw3 ex01 and ex03)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dlexp.config.lazy import F, optim, torch
from dlexp.config.schema import Positive
from dlexp.demonstrations.sides import Demonstration, Sides, Table

if TYPE_CHECKING:
    from torch import Tensor


def one_update_slips(learning_rate: Positive = 0.1, epsilon: Positive = 1e-8) -> Demonstration:
    """Gradients and first updates of dl_hw3 ex01's eight weights by formula, and what two slips of the homework change.

    E = −ln(1 − σ(w7 h1 + w8 h2)), h1 = tanh(w1 x1 + w3 x2 + w5 x3), h2 = LeakyReLU of (w2 x1 + w4 x2 + w6 x3).
    """
    x = torch.tensor([1.5, 1, 1], dtype=torch.float64)
    start = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, -0.4], dtype=torch.float64)
    h1, z2 = (start[0:6:2] @ x).tanh(), start[1:6:2] @ x
    h2, slope2 = F.leaky_relu(z2, 0.2), torch.where(z2 > 0, 1.0, 0.2)
    delta = (start[6] * h1 + start[7] * h2).sigmoid()  # ∂E/∂z of the output unit, σ(z) − 0
    below1, below2 = delta * start[6], delta * start[7] * slope2
    gradient = torch.stack([below1 * (1 - h1**2) * x, below2 * x], 1).flatten()  # of w1, w2, …, w6
    gradient = torch.cat([gradient, torch.stack([delta * h1, delta * h2])])
    sgd, by_autograd = _update(optim.SGD, start, x, lr=learning_rate)
    adam, _ = _update(optim.Adam, start, x, lr=learning_rate, eps=epsilon)
    by_formula = start - learning_rate * gradient / (gradient.abs() + epsilon)
    slipped = start - learning_rate * gradient / (gradient + epsilon)
    squared = below1 * x[0] * (1 - h1) ** 2
    names = [f"w{i}" for i in range(1, 9)]
    columns = ("weight", "before", "gradient", "by autograd", "after SGD", "after Adam", "Adam without | |")
    numbers = (start, gradient, by_autograd, sgd, adam, slipped)
    rises = ", ".join(name for name, g in zip(names, gradient, strict=True) if g < 0)
    return Demonstration(
        [
            Sides("∂E/∂w, by formula and by autograd", gradient, by_autograd),
            Sides("SGD: w − η g, and PyTorch's", start - learning_rate * gradient, sgd),
            Sides("Adam: w − η g / (|g| + ε), and PyTorch's", by_formula, adam),
            Sides("slip: ∂E/∂w1 with (1 − tanh z)², and with 1 − tanh² z", squared, gradient[0], relation="≈"),
        ],
        {
            "One update of every weight": Table(
                columns, [(name, *map(float, row)) for name, *row in zip(names, *numbers, strict=True)]
            )
        },
        findings=[
            f"The derivative of tanh z is 1 − tanh² z: the gradient of w1 is {gradient[0]:.2g}. With (1 − tanh z)², as "
            f"the homework writes once, it would be {squared:.2g}.",
            "Adam's first step divides each gradient by its own size, so every weight moves by "
            f"{learning_rate:g}, against the sign of its gradient: {rises} rise. Without | | all would fall, as in "
            "the homework.",
        ],
    )


def pooling_gradients() -> Demonstration:
    """Gradients of dl_hw3 ex03's E = ‖y₂ − y₁‖² through pooling and the convolution z = W ∗ x, for Data1 and Data2.

    Pooling is y = P z. Average: P has ½ for both inputs of an output; maximum: 1 for the larger one. ∂E/∂z = Pᵀ ∂E/∂y.
    """
    both = [[[1, 2, -3, 2], [1, 2, -2, 1]], [[4, 2, -2, 2], [3, 2, -7, 2]]]
    data = torch.tensor(both, dtype=torch.float64)
    average = _through_pooling("average, 1/2 to each", lambda z: F.avg_pool1d(z, 2, 1), data)
    maximum = _through_pooling("maximum, all to the larger", lambda z: F.max_pool1d(z, 2, 1), data)
    return Demonstration(
        [*average, *maximum],
        findings=[
            "Pooling has no weights, but an error passes it: the average gives half of each gradient to both of its "
            "inputs, the maximum all of it to the larger one. The homework says that pooling's derivative is zero: it "
            "is not."
        ],
    )


def _update(optimizer: type[torch.optim.Optimizer], start: Tensor, x: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    """Return the weights after PyTorch's first step, and their gradients by autograd."""
    w = start.clone().requires_grad_()
    h1, h2 = (w[0:6:2] @ x).tanh(), F.leaky_relu(w[1:6:2] @ x, 0.2)
    z = w[6] * h1 + w[7] * h2
    F.binary_cross_entropy_with_logits(z, torch.zeros_like(z)).backward()
    assert w.grad is not None
    optimizer([w], **options).step()
    return w.detach(), w.grad


def _through_pooling(how: str, pool: Callable[[Tensor], Tensor], data: Tensor) -> list[Sides]:
    kernel = torch.tensor([[[0.5, -0.2], [0.3, 0.1]]], dtype=torch.float64, requires_grad=True)
    z = F.conv1d(data, kernel)
    of_pooling = torch.autograd.functional.jacobian(pool, z.detach())  # sample, 1, output, sample, 1, place
    found = torch.autograd.grad((pool(z)[1] - pool(z)[0]).square().sum(), [z, kernel])
    zs = z.detach()[:, 0]
    shares = torch.zeros(2, 2, 3, dtype=torch.float64)  # P of each sample: output, place
    for sample, output in ((0, 0), (0, 1), (1, 0), (1, 1)):
        pair = zs[sample, output : output + 2]
        share = torch.full_like(pair, 0.5) if how.startswith("average") else (pair == pair.max()).double()
        shares[sample, output, output : output + 2] = share
    ys = torch.einsum("noi,ni->no", shares, zs)
    by_y = 2 * torch.stack([ys[0] - ys[1], ys[1] - ys[0]])
    by_z = torch.einsum("noi,no->ni", shares, by_y)
    by_kernel = torch.einsum("np,ncpk->ck", by_z, data.unfold(2, 2, 1))  # windows: sample, channel, place, offset
    statements = []
    for i in (0, 1):
        for o in (0, 1):
            name = f"{how}: ∂y{'₁₂'[o]}/∂z of Data{i + 1}"
            statements.append(Sides(name, shares[i, o], of_pooling[i, 0, o, i, 0]))
        statements.append(Sides(f"∂E/∂z of Data{i + 1}, {how.split(',')[0]}", by_z[i], found[0][i, 0]))
    return [*statements, Sides(f"∂E/∂W = Σ ∂E/∂z x, {how.split(',')[0]}", by_kernel, found[1][0])]
