"""The verb `summary`."""

from collections.abc import Sequence

from dlexp.cli.arguments import OVERRIDES, parser_of
from dlexp.config.config import load_config
from dlexp.config.registry import import_modules
from dlexp.data import preparation
from dlexp.models.freezing import Freezing
from dlexp.models.summary import layers_of, summarize
from dlexp.runs.formatting import table
from dlexp.training.build import build_model, check


def summary(arguments: Sequence[str]) -> int:
    """Print a model's layers with their output shapes and parameters. Needs no data.

    dlexp summary model=cifar_cnn
    dlexp summary dataset=mnist model=mlp 'model.hidden_sizes=[256,128]'
    """
    parser = parser_of(summary)
    parser.add_argument("overrides", nargs="*", help=OVERRIDES)
    options = parser.parse_args(arguments)

    config = check(load_config(options.overrides))

    imports = import_modules(config.imports)
    model, source = build_model(config, imports), preparation.source_of(config.dataset, imports)
    layers = summarize(model, source.input_shape)
    Freezing(model, config.model.transfer)
    frozen = {name for name, module in layers_of(model) if not any(p.requires_grad for p in module.parameters())}
    rows = [
        (
            f"{row.name} {row.kind}{' (frozen)' * (row.parameters > 0 and row.name in frozen)}",
            " × ".join(map(str, row.output_shape)),
            row.parameters,
        )
        for row in layers
    ]
    print(table(["layer", "output", "parameters"], [("input", " × ".join(map(str, source.input_shape)), 0), *rows]))
    total = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f"\n{total:,} parameters, {trainable:,} of them trained; {total * 4:,} bytes in float32.")
    return 0
