"""Collect samples in files, folders, arrays and tables as raw inputs of a run; name those that cannot be used."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlexp.config import schema
from dlexp.config.lazy import pandas, torch
from dlexp.data.given.pictures import decode, fitted
from dlexp.data.given.rows import Refused, Row, column, counts, numbers, parse
from dlexp.data.preprocessing import Preprocessing
from dlexp.data.source import Source
from dlexp.errors import UserError
from dlexp.storage.untrusted import map_array, open_regular, read_at_most, read_bytes

if TYPE_CHECKING:
    import pandas as pd

STDIN = "-"
BYTES = 255


@dataclass(frozen=True)
class Given:
    """Raw inputs (N, …) as the run's dataset gives them, their names, refused samples, and remarks for the user."""

    inputs: np.ndarray
    names: list[Any]
    refused: list[Refused]
    remarks: list[str]


def collected(inputs: Any, source: Source, preprocessing: Preprocessing) -> Given:
    """Return the samples in an array, a DataFrame, a path or several, for a run of a dataset's published facts.

    If the preprocessing resizes images, they have the size that it gives them: a picture of any size is resized once.
    Raises UserError if an array's shape is of no such samples.
    """
    collection = Collection(source, preprocessing)
    if isinstance(inputs, str | Path):
        collection.paths([inputs])
    elif isinstance(inputs, pandas.DataFrame):
        collection.frame(inputs)
    elif isinstance(inputs, Sequence) and all(isinstance(each, str | Path) for each in inputs):
        collection.paths(inputs)
    else:
        try:
            collection.array(np.asarray(inputs))
        except ValueError as error:  # also NumPy's, of uneven lists
            raise UserError(f"The samples cannot be used: {error}") from None
    return collection.given()


class Collection:
    """Collects samples, one source after another, for a run whose dataset has the published facts `source`."""

    def __init__(self, source: Source, preprocessing: Preprocessing):
        dtype, self._preprocessing = preprocessing.dtype, preprocessing
        self._largest, self._images = source.largest, len(source.input_shape) == 3
        floats = np.dtype(dtype if np.dtype(dtype).kind == "f" else np.float64)  # integers would cut off 5.5
        self._dtype = np.dtype(np.uint8) if self._images else floats
        channels, *size = source.input_shape
        self._shape = (*size, channels) if self._images else source.input_shape
        self._inputs: list[np.ndarray] = []
        self._names: list[Any] = []
        self._refused: list[Refused] = []
        self._remarks: list[str] = []
        self._resized: list[str] = []
        self._recoloured: list[str] = []

    def given(self) -> Given:
        """Return what was collected, with a remark for each way in which pictures were changed."""
        inputs = np.concatenate(self._inputs) if self._inputs else self._sized(np.zeros((0, *self._shape), self._dtype))
        remarks = list(self._remarks)
        if self._resized:
            height, width = self._shape[:2]
            what = f"of another size than train's {width} × {height}: scaled, and cropped to the middle"
            remarks.append(listed("picture", self._resized, what))
        if self._recoloured:
            kind = "in colour, and train's are grey" if self._shape[2] == 1 else "grey, and train's are in colour"
            remarks.append(listed("picture", self._recoloured, f"{kind}: converted"))
        return Given(inputs, self._names, self._refused, remarks)

    def paths(self, paths: Sequence[str | Path]) -> None:
        """Add files, folders of pictures, and a CSV from standard input, which is called `-`."""
        alone = len(paths) == 1
        for path in paths:
            try:
                self._path(path, alone=alone)
            except UserError as error:  # it names the file
                self._refused.append(Refused("", str(error)))
            except OSError as error:
                self._refuse(str(path), f"it cannot be read: {error.strerror or error}.")
            except ValueError as error:
                self._refuse(str(path), str(error))

    def array(self, values: np.ndarray, name: str = "", *, alone: bool = True) -> None:
        """Add an array of samples (N, …), or one sample, in raw units; `name` is the file that holds it.

        Raises ValueError if its shape is of no such samples.
        """
        values = np.asarray(values)
        if values.dtype.kind not in "fiub":
            raise ValueError(f"an array of {values.dtype} holds no numbers.")
        size, names = math.prod(self._shape), self._row_names(name, alone)
        if values.shape in (self._shape, self._shape[:2] if self._shape[-1] == 1 else self._shape):
            values = values[None]
        if self._images and self._shape[2] == 1 and values.ndim == 3:
            values = values[..., None]
        if self._images and values.ndim == 4 and values.shape[3] == self._shape[2]:
            for i, pixels in enumerate(values):
                if _are_bytes(pixels):
                    self._pixels(pixels.astype(np.uint8), names(i), str(names(i)))
                else:
                    self._refuse(str(names(i)), f"it has values that are no bytes: give raw pixels, 0 to {BYTES}.")
        elif values.shape[1:] == self._shape or (values.ndim == 2 and values.shape[1] == size):
            flat = values.reshape(len(values), size)
            if self._images or not np.isfinite(flat).all():
                self._rows((Row(names(i), f"row {i}", row) for i, row in enumerate(flat.tolist())), name)
            else:
                self._add(flat, [names(i) for i in range(len(flat))])
        else:
            raise ValueError(f"an array of shape {values.shape} is not of samples {self._shape}, which the run takes.")

    def frame(self, table: pd.DataFrame) -> None:
        """Add the rows of a DataFrame, named by its index."""
        cells = zip(table.index, table.itertuples(index=False, name=None), strict=True)
        self._rows([Row(i, f"row {i}", row) for i, row in cells], "", [str(name) for name in table.columns])

    def _path(self, path: str | Path, *, alone: bool) -> None:
        if str(path) == STDIN:
            if sys.stdin is None:  # `dlexp predict RUN - <&-`
                raise ValueError("standard input is closed.")
            self._csv(read_at_most(sys.stdin.buffer), "standard input", alone=alone)
            return
        place = schema.path(path)
        if place.is_dir():
            self._folder(place)
        elif not place.exists():
            self._refuse(str(path), "it does not exist.")
        elif place.suffix.lower() in (".csv", ".tsv", ".txt"):
            self._csv(read_bytes(place.resolve()), str(path), alone=alone)
        elif place.suffix.lower() == ".npy":
            with open_regular(place.resolve()):  # refuses a queue, for which NumPy would wait
                pass
            self.array(map_array(place), str(path), alone=alone)
        else:
            self._picture(place.resolve(), str(path))

    def _folder(self, folder: Path) -> None:
        """Add the pictures in a folder and below it, in the order of their names, hidden ones left out."""
        if not self._images:
            raise ValueError("a folder is of pictures, and the run takes rows of numbers.")
        files = sorted(
            file
            for file in folder.rglob("*")
            if not file.is_dir() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        )
        if not files:
            raise ValueError("the folder has no file.")
        for file in files:
            try:
                self._picture(file, str(file))
            except UserError as error:
                self._refused.append(Refused("", str(error)))
            except OSError as error:
                self._refuse(str(file), f"it cannot be read: {error.strerror or error}.")
            except ValueError as error:
                self._refuse(str(file), str(error))

    def _picture(self, path: Path, name: str) -> None:
        if not self._images:
            raise ValueError(f"the run takes rows of {math.prod(self._shape)} numbers: a CSV file or a .npy array.")
        if self._shape[2] not in (1, 3):
            raise ValueError(f"the run takes pictures of {self._shape[2]} channels, which only a .npy array has.")
        pixels, coloured = decode(read_bytes(path), self._shape[2])
        if coloured is (self._shape[2] == 1):
            self._recoloured.append(name)
        self._pixels(pixels, name, name, from_file=True)

    def _pixels(self, pixels: np.ndarray, name: Any, called: str, *, from_file: bool = False) -> None:
        height, width = self._shape[:2]
        if pixels.shape[:2] != (height, width) and self._preprocessing.image_size is None:
            self._resized.append(f"{called} ({pixels.shape[1]} × {pixels.shape[0]})")
            pixels = fitted(pixels, height, width)
        if from_file and self._largest != BYTES:
            pixels = np.rint(pixels * (self._largest / BYTES)).astype(np.uint8)
        self._add(pixels[None], [name])

    def _csv(self, content: bytes, name: str, *, alone: bool) -> None:
        header, rows = parse(content)
        if counts(header):
            self._remarks.append(f"{name}: its first row, 0, 1, 2, …, was taken for the names of the columns.")
        names = self._row_names(name, alone)
        self._rows([row._replace(number=names(row.number)) for row in rows], name, header)

    def _rows(self, rows: Iterable[Row], name: str, columns: Sequence[str] = ()) -> None:
        values, names, refused = numbers(rows, math.prod(self._shape), columns, name)
        self._refused += refused
        if self._images:
            usable = []
            for i, row in enumerate(values):
                if not _are_bytes(row):
                    wrong = [j for j, value in enumerate(row) if not _are_bytes(value)]
                    reason = f"{column(wrong[0], columns)}: {row[wrong[0]]:g} is no byte, 0 to {BYTES}, of a picture."
                    self._refused.append(Refused(f"{name}{', ' if name else ''}row {names[i]}", reason))
                else:
                    usable.append(i)
            values, names = values[usable], [names[i] for i in usable]
        self._add(values, names)

    def _add(self, values: np.ndarray, names: Sequence[Any]) -> None:
        with np.errstate(over="ignore"):  # what is too large is refused when it is normalized
            shaped = values if values.ndim == 4 else values.reshape(-1, *self._shape)
            self._inputs.append(self._sized(shaped.astype(self._dtype)))
        self._names += names

    def _sized(self, values: np.ndarray) -> np.ndarray:
        """Return images (N, H, W, channels) as the preprocessing resizes them; other samples as they are."""
        size = self._preprocessing.image_size
        if size is None:
            return values
        if not len(values):
            return np.zeros((0, size, size, values.shape[3]), values.dtype)
        images = torch.from_numpy(np.ascontiguousarray(values)).permute(0, 3, 1, 2)
        return np.asarray(self._preprocessing.resized(images).permute(0, 2, 3, 1))

    def _refuse(self, name: str, reason: str) -> None:
        self._refused.append(Refused(name, reason))

    @staticmethod
    def _row_names(name: str, alone: bool) -> Any:
        return (lambda i: i) if alone else (lambda i: f"{name}:{i}")


def _are_bytes(values: np.ndarray) -> bool:
    """Whether every value is a whole number from 0 to 255."""
    return values.dtype == np.uint8 or bool(((values == np.rint(values)) & (values >= 0) & (values <= BYTES)).all())


def listed(what: str, names: Sequence[Any], said: str, most: int = 3) -> str:
    """Return one line about samples: `2 pictures are …: a.png, b.png`."""
    shown = ", ".join(map(str, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
    return f"{len(names)} {what}{'s are' if len(names) != 1 else ' is'} {said}: {shown}."
