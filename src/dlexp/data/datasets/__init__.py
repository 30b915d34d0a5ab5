"""Datasets: each has one file, and DATASETS names them."""

from dlexp.config.registry import Registry
from dlexp.data.datasets.breast_cancer import breast_cancer
from dlexp.data.datasets.cifar10 import cifar10
from dlexp.data.datasets.diabetes import diabetes
from dlexp.data.datasets.digits import digits
from dlexp.data.datasets.hoda import hoda, hoda_full
from dlexp.data.datasets.inline import inline
from dlexp.data.datasets.iris import iris
from dlexp.data.datasets.linear_map import linear_map
from dlexp.data.datasets.mnist import mnist
from dlexp.data.datasets.noise import noise
from dlexp.data.datasets.playground import playground
from dlexp.data.source import Source

DATASETS: Registry[Source] = Registry(
    "dataset",
    {
        "iris": iris,
        "breast_cancer": breast_cancer,
        "digits": digits,
        "mnist": mnist,
        "cifar10": cifar10,
        "hoda": hoda,
        "hoda_full": hoda_full,
        "noise": noise,
        "diabetes": diabetes,
        "linear_map": linear_map,
        "playground": playground,
        "inline": inline,
    },
    product=lambda: Source,
    example="from dlexp.data.source import Samples, Source\n"
    'return Source(input_shape=(4,), class_names=("a", "b"), embedded=read)',
)
