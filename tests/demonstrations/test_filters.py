"""Image filters: known answers on small pictures, the user's own files, and a figure that shows its images."""

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, signal
from small_runs import only_run

import dlexp
from dlexp.config import lazy
from dlexp.config.component import Component
from dlexp.demonstrations import DEMONSTRATIONS
from dlexp.demonstrations.filters import KERNELS, convolved
from dlexp.demonstrations.sides import Demonstration
from dlexp.errors import UserError
from dlexp.report import collect, figures, panels

NAMES = ("image_filters", "extended_derivative", "canny_and_bilateral", "template_matching")


@pytest.fixture
def opencv() -> None:
    pytest.importorskip("cv2", reason="OpenCV is an extra: pip install '.[images]'")


def demonstration(**options: object) -> Demonstration:
    result = DEMONSTRATIONS.build(DEMONSTRATIONS.bind(Component.of(options, "demonstration")))
    assert result is not None
    return result


def saved(name: str, pixels: np.ndarray) -> str:
    Image.fromarray(pixels).save(name)
    return name


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)


def test_the_nine_kernels_are_those_of_the_exercise() -> None:
    """Each is written down again from the exercise; SciPy correlates."""
    asked = """0 -1 0 -1 5 -1 0 -1 0 | 0 1 0 1 -4 1 0 1 0 | -2 -1 0 -1 1 1 0 1 2 | -1 -1 -1 -1 8 -1 -1 -1 -1
               | -1 -1 -1 -1 8 -1 -1 -1 -1 | 1 2 1 0 0 0 -1 -2 -1 | -1 -2 -1 0 0 0 1 2 1 | -1 0 1 -2 0 2 -1 0 1
               | 1 1 1 1 8 1 1 1 1"""
    picture = noise(20, 30)
    kernels = [np.array(part.split(), float).reshape(3, 3) for part in asked.split("|")]
    found = convolved(picture, [np.array(kernel, float) for kernel, _ in KERNELS.values()])
    for kernel, result in zip(kernels, found, strict=True):
        assert (result == ndimage.correlate(picture.astype(float), kernel, mode="mirror")).all()


def test_the_average_is_divided_and_results_are_cut_off_at_black_and_white(opencv: None) -> None:
    picture = np.zeros((20, 20), np.uint8)
    picture[10:] = 160  # dark above and bright below
    shown = demonstration(name="image_filters", picture=saved("edge.png", picture)).panels
    columns = {title: panel.image[8:12, 5].tolist() for title, panel in shown.items()}
    assert columns["original"] == [0, 0, 160, 160]
    assert columns["weighted average"] == [0, 30, 130, 160]  # 3/16 of the weights are in a row beside the pixel's
    assert columns["top Sobel"] == [0, 0, 0, 0] and columns["bottom Sobel"] == [0, 255, 255, 0]
    assert columns["Laplacian"] == [0, 160, 0, 0] and columns["outline"] == [0, 0, 255, 0]
    assert columns["sharpen"] == [0, 0, 255, 160] and columns["emboss"] == [0, 255, 255, 160]
    assert (shown["right Sobel"].image == 0).all()
    assert len(shown) == 10 and all(panel.sentence for panel in shown.values())


def test_bilateral_and_canny_keep_a_step(opencv: None) -> None:
    picture = np.zeros((24, 24), np.uint8)
    picture[:, 12:] = 200
    shown = demonstration(name="canny_and_bilateral", picture=saved("step.png", picture), sigma_grey=10.0).panels
    assert (shown["bilateral"].image == picture).all()
    blurred = shown["blurred by distance alone"].image
    assert 40 < blurred[12, 11] < 100 < blurred[12, 12] < 160
    edge = np.flatnonzero(shown["Canny"].image[12])
    assert edge.size == 1 and edge[0] in (11, 12)


def test_a_template_is_found_where_it_was_cut_but_not_by_the_plain_correlations(opencv: None) -> None:
    picture = noise(60, 80) // 4
    picture[30:50, 50:70] += 190  # brighter, with edges of more contrast
    shown = demonstration(name="template_matching", picture=saved("mine.png", picture), patch=[7, 5, 12, 10], noise=0.0)
    (table,) = shown.tables.values()
    places = {row[0]: row[2] for row in table.rows}
    assert len(places) == 6
    template = picture[5:15, 7:19].astype(float)
    plain = {"cross correlation": template, "correlation coefficient": template - template.mean()}
    for method, weights in plain.items():
        response = signal.correlate2d(picture, weights, "valid")
        top, left = np.unravel_index(response.argmax(), response.shape)
        assert places.pop(method) == f"({left}, {top})" != "(7, 5)"
        assert response.shape == shown.panels[f"{method}: response"].image.shape
        rectangle = np.array(shown.panels[method].curves["place"])
        assert (rectangle.min(0) == (left, top)).all() and (np.ptp(rectangle, 0) == (11, 9)).all()
    assert set(places.values()) == {"(7, 5)"}


def test_a_darker_picture_misleads_squared_differences(opencv: None) -> None:
    (table,) = demonstration(name="template_matching").tables.values()
    half = {row[0]: row[3] == "(300, 120)" for row in table.rows}
    assert half.pop("normalized cross correlation") and half.pop("normalized correlation coefficient")
    assert not any(half.values())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["demonstration.picture=none.png"], "picture=none.png: there is no such photograph, and no such file"),
        (["demonstration.picture=flowr"], "Did you mean flower?"),
        (["demonstration.picture=."], "picture=. is a folder"),
        (["demonstration.picture=text.png"], "picture=text.png cannot be used: it is no picture (PNG, JPEG"),
        (["demonstration.picture=cut.png"], "picture=cut.png cannot be used: it cannot be decoded"),
        (["demonstration.picture=small.png"], "picture=small.png is too small: 8 × 9 pixels"),
        (["demonstration.picture=noise.png"], "patch of 4 × 4 pixels at least within noise.png: left + width ≤ 40 and"),
        (["demonstration.patch=[1,2,3]"], "demonstration.patch=[1, 2, 3] must be 4 values"),
        (["demonstration.patch=[0,0,3,9]"], "demonstration.patch=[0, 0, 3, 9]: left, top, width and height"),
        (["demonstration.picture=flat.png", "demonstration.patch=[0,0,9,9]"], "patch=[0, 0, 9, 9] is flat"),
        (["demonstration=canny_and_bilateral", "demonstration.low=300"], "low=300 is above demonstration.high=200"),
        (["demonstration=canny_and_bilateral", "demonstration.picture=flat.png"], "finds no edge in flat.png"),
        (["demonstration=canny_and_bilateral", "demonstration.radius=16"], "radius=16: must be at most 15"),
    ],
)
def test_wrong_pictures_and_options_are_named(overrides: list[str], message: str, opencv: None) -> None:
    Path("text.png").write_text("no picture")
    Path("cut.png").write_bytes(Path(saved("noise.png", noise(30, 40))).read_bytes()[:900])
    saved("small.png", noise(9, 8))
    saved("flat.png", np.full((30, 30), 77, np.uint8))
    with pytest.raises(UserError, match=re.escape(message)):
        dlexp.train(["demonstration=template_matching", *overrides])
    assert not Path("outputs").exists()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "extended_derivative"])
def test_a_missing_opencv_is_told_how_to_be_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)  # importing it fails
    monkeypatch.delattr(lazy.cv2, "__version__", raising=False)
    with pytest.raises(UserError, match=re.escape(f"{name} compares with OpenCV") + r".*pip install 'dlexp\[images\]'"):
        dlexp.train([f"demonstration={name}"])
    assert not Path("outputs").exists()


def test_a_larger_picture_is_shrunk_and_a_coloured_one_becomes_grey() -> None:
    pixels = np.zeros((300, 1280, 3), np.uint8)
    pixels[..., 1] = 255
    shown = demonstration(name="extended_derivative", picture=saved("green.png", pixels)).panels["original"].image
    assert shown.shape == (150, 640) and (shown == 150).all()  # 0.587 of 255


def test_a_figure_of_images_is_drawn_from_the_files_of_its_run() -> None:
    run = dlexp.train(["demonstration=extended_derivative", f"demonstration.picture={saved('a.png', noise(20, 32))}"])
    assert {"figure.csv", "figure_images.png", "figure.png"} <= {path.name for path in run.path.iterdir()}
    Path("a.png").unlink()  # the figure needs it no more
    figure = panels.demonstration(only_run())
    assert [axes.get_title() for axes in figure.axes][:2] == ["original", "along rows"]
    assert (figure.axes[0].images[0].get_array() == noise(20, 32)).all()
    assert "upright" in figure.axes[1].get_xlabel()
    assert collect.read(only_run())["figure"]
    strip = np.asarray(Image.open(io.BytesIO((run.path / "figure_images.png").read_bytes())))
    assert strip.shape == (20, 6 * 32)
    Image.fromarray(255 - strip).save(run.path / "figure_images.png")
    with pytest.raises(UserError, match=r"figure_images\.png was edited"):
        figures.draw(only_run())


def test_a_figure_has_curves_beside_images_of_different_sizes() -> None:
    shapes = {"wide": (10, 30), "high": (25, 12)}
    images = {title: np.full(shape, 99, np.uint8) for title, shape in shapes.items()}
    axes_of = {title: {"sentence": f"{title}: seen."} for title in images}
    axes_of["line"] = {"x": "n", "y": "m", "log": "", "equal": False}  # as runs before images wrote it
    curves = {"wide": {"place": [(2, 3), (5, 3)]}, "high": {}, "line": {"m": [(0, 0), (1, 2)]}}
    figure = panels.panels(curves, axes_of, images)
    assert [len(axes.images) for axes in figure.axes[:3]] == [1, 1, 0]
    assert figure.axes[0].lines[0].get_xdata().tolist() == [2, 5]
    assert figure.axes[0].get_xlim() == (-0.5, 29.5)
    assert figure.axes[2].get_xlabel() == "n"
