"""The verb `data`."""

from collections.abc import Sequence
from pathlib import Path

from dlexp.cli.arguments import parser_of
from dlexp.config.config import load_config
from dlexp.config.schema import path
from dlexp.data import store
from dlexp.data.datasets import DATASETS
from dlexp.errors import UserError
from dlexp.runs.formatting import table


def data(arguments: Sequence[str]) -> int:
    """List the datasets and whether each is fetched; fetch one; verify the files of one.

    dlexp data list
    dlexp data fetch cifar10
    dlexp data verify cifar10
    """
    parser = parser_of(data)
    parser.add_argument("action", choices=("list", "fetch", "verify"))
    parser.add_argument("name", nargs="?", help="the dataset")
    parser.add_argument("--data-dir", type=path, help="default: DLEXP_DATA_DIR, else data")
    options = parser.parse_args(arguments)

    data_dir = options.data_dir or Path(load_config([]).data_dir)
    if options.action == "list":
        rows = []
        for name, builder in DATASETS.builders.items():
            source = builder()
            here = source.embedded is not None or store.is_complete(data_dir / name)
            shape = " × ".join(map(str, source.input_shape))
            rows.append(
                [name, shape, len(source.class_names) or "values", "here" if here else "not fetched", source.origin]
            )
        print(table(["dataset", "input", "classes", "", "origin"], rows))
        return 0
    if options.name is None:
        raise UserError(f"dlexp data {options.action} needs a name: {', '.join(DATASETS.builders)}.")
    source = DATASETS.find(options.name)()
    if source.embedded is not None:
        print(f"{options.name} has no files ({source.origin}): nothing to {options.action}.")
        return 0
    (store.fetch if options.action == "fetch" else store.verify)(options.name, source, data_dir)
    print(f"{options.name} is whole, in {data_dir / options.name}.")
    return 0
