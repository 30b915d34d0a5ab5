"""Libraries that are imported on their first use.

torch takes 1.3 s to import, scikit-learn 0.9, Matplotlib and pandas half a second each. `--help`, `list` and every
message about a config need none of them. A module writes `from dlexp.config.lazy import torch` at its top, and uses
`from __future__ import annotations` if its annotations name a library's types.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cv2 as cv2
    import matplotlib as matplotlib
    import onnxruntime as onnxruntime
    import pandas as pandas
    import torch as torch
    from matplotlib import figure as mpl_figure
    from matplotlib import ticker as mpl_ticker
    from PIL import Image as Image
    from PIL import ImageOps as ImageOps
    from scipy import io as scipy_io
    from scipy import optimize as scipy_optimize
    from scipy import stats as scipy_stats
    from skimage import data as skimage_data
    from sklearn import datasets as sklearn_datasets
    from sklearn import metrics as sklearn_metrics
    from sklearn import model_selection as model_selection
    from torch import nn as nn
    from torch import optim as optim
    from torch.nn import functional as F
    from torch.nn import init as init
    from torch.optim import lr_scheduler as lr_scheduler
    from torchvision import datasets as torchvision_datasets
    from torchvision import models as torchvision_models
    from torchvision.transforms import functional as torchvision_functional
else:

    class _Lazy(ModuleType):
        """Imports the module of its name on the first access of an attribute, and keeps the attribute."""

        def __getattr__(self, name: str) -> Any:
            value = getattr(importlib.import_module(self.__name__), name)
            setattr(self, name, value)
            return value

    torch, nn, optim = _Lazy("torch"), _Lazy("torch.nn"), _Lazy("torch.optim")
    F, init, lr_scheduler = _Lazy("torch.nn.functional"), _Lazy("torch.nn.init"), _Lazy("torch.optim.lr_scheduler")
    torchvision_datasets, torchvision_models = _Lazy("torchvision.datasets"), _Lazy("torchvision.models")
    torchvision_functional = _Lazy("torchvision.transforms.functional")
    sklearn_datasets, sklearn_metrics = _Lazy("sklearn.datasets"), _Lazy("sklearn.metrics")
    model_selection = _Lazy("sklearn.model_selection")
    scipy_io, scipy_optimize, scipy_stats = _Lazy("scipy.io"), _Lazy("scipy.optimize"), _Lazy("scipy.stats")
    matplotlib, mpl_figure = _Lazy("matplotlib"), _Lazy("matplotlib.figure")
    mpl_ticker, pandas = _Lazy("matplotlib.ticker"), _Lazy("pandas")
    onnxruntime = _Lazy("onnxruntime")
    Image, ImageOps = _Lazy("PIL.Image"), _Lazy("PIL.ImageOps")
    skimage_data = _Lazy("skimage.data")  # of the same extra
    cv2 = _Lazy("cv2")  # of an extra: `demonstrations.photographs` says what to install
