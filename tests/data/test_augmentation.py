"""Augmentations change images as described, do not change evaluation, and resume to the same end."""

import pytest
import scipy.stats
import torch
from small_runs import SMALL_CNN, assert_same_end, resume, train

from dlexp.cli.main import main
from dlexp.config.config import load_config
from dlexp.data.augmentation import AUGMENTATIONS
from dlexp.training.build import build, check

IMAGES = torch.arange(1.0, 49.0).view(1, 3, 4, 4).expand(500, 3, 4, 4)


def changed(choice: object, images: torch.Tensor = IMAGES) -> torch.Tensor:
    torch.manual_seed(0)
    result = AUGMENTATIONS.build(AUGMENTATIONS.bind_choice(choice))(images)
    assert result.shape == images.shape and result.dtype == images.dtype
    return result


def shares(result: torch.Tensor, expected: list[torch.Tensor]) -> list[float]:
    counts = [sum(torch.equal(image, one) for image in result) for one in expected]
    assert sum(counts) == len(result), "an image is not among the expected ones"
    return [count / len(result) for count in counts]


def test_horizontal_flip_mirrors_half_of_the_images() -> None:
    assert shares(changed("horizontal_flip"), [IMAGES[0], IMAGES[0].flip(2)]) == pytest.approx([0.5, 0.5], abs=0.07)
    assert torch.equal(changed({"horizontal_flip": 1}), IMAGES.flip(3))


def test_rotate90_turns_by_each_quarter_equally_often() -> None:
    expected = [IMAGES[0].rot90(turns, (1, 2)) for turns in range(4)]
    assert shares(changed("rotate90"), expected) == pytest.approx([0.25] * 4, abs=0.07)


def test_shift_moves_by_every_offset_and_fills_with_black() -> None:
    expected = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            rolled = IMAGES[0].roll((down, right), (1, 2)).clone()
            if down:
                rolled[:, 0 if down > 0 else -1] = 0
            if right:
                rolled[:, :, 0 if right > 0 else -1] = 0
            expected.append(rolled)
    assert shares(changed({"shift": 1}), expected) == pytest.approx([1 / 9] * 9, abs=0.06)


def test_brightness_multiplies_each_image_by_one_factor() -> None:
    factors = changed({"brightness": 0.3}) / IMAGES
    torch.testing.assert_close(factors.amin((1, 2, 3)), factors.amax((1, 2, 3)))
    assert 0.7 <= factors.min() < 0.72 and 1.28 < factors.max() <= 1.3


def test_a_crop_of_the_whole_changes_nothing_and_others_stay_inside() -> None:
    torch.testing.assert_close(changed({"random_resized_crop": {"smallest": 1, "stretch": 1}}), IMAGES)
    result = changed("random_resized_crop")
    assert result.min() >= 1 and result.max() <= 48 and not torch.allclose(result, IMAGES)


@pytest.mark.parametrize(("options", "smallest"), [({"smallest": 0.3}, 0.3), ({}, 0.5)])
def test_the_area_of_a_crop_is_uniform(options: dict[str, float], smallest: float) -> None:
    """Two ramps across an image show the part that was cut out: between the middles of its outer pixels."""
    ramp = torch.linspace(-1, 1, 65, dtype=torch.float64)
    images = torch.stack([ramp.expand(65, 65), ramp[:, None].expand(65, 65)]).expand(1000, 2, 65, 65)
    torch.manual_seed(0)
    result = AUGMENTATIONS.build(AUGMENTATIONS.bind_choice({"random_resized_crop": options}))(images)
    middle = slice(16, 49)  # away from the borders, which repeat the outermost pixels
    width = result[:, 0, 32, middle].diff().mean(1) / ramp.diff()[0]
    height = result[:, 1, middle, 32].diff().mean(1) / ramp.diff()[0]
    assert result.dtype == torch.float64
    assert max(width.max(), height.max()) <= 1 + 1e-6
    assert scipy.stats.kstest((width * height).numpy(), "uniform", (smallest, 1 - smallest)).pvalue > 0.01
    assert (width / height).min() >= 1 / 1.33 - 1e-6 and (width / height).max() <= 1.33 + 1e-6


@pytest.mark.parametrize("name", AUGMENTATIONS.builders)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_augmentation_keeps_the_dtype(name: str, dtype: torch.dtype) -> None:
    images = torch.rand(4, 3, 12, 12, dtype=dtype)
    assert AUGMENTATIONS.build(AUGMENTATIONS.bind_choice(name))(images).dtype == dtype


def test_cutout_blacks_out_one_square() -> None:
    black = changed({"cutout": 2}) == 0
    assert torch.equal(black[:, 0], black[:, 1])
    assert set(black[:, 0].sum((1, 2)).tolist()) == {1, 2, 4}  # in a corner, at an edge, inside
    rows = {tuple(row) for row in black[:, 0].any(2).tolist()}
    assert rows == {tuple(row in (pixel - 1, pixel) for row in range(4)) for pixel in range(4)}  # around each pixel


@pytest.mark.parametrize("name", AUGMENTATIONS.builders)
def test_a_resume_repeats_the_augmentations_after_a_stop_at_any_epoch(name: str) -> None:
    overrides = ["dataset=digits", "dataset.train_size=100", *SMALL_CNN, f"dataset.augmentation=[{name}]", "epochs=3"]
    whole, stopped = train(*overrides, "name=whole"), train(*overrides, "name=stopped", "stop_at=2")
    assert_same_end(whole, resume(stopped))
    plain = train(*overrides, "dataset.augmentation=[]", "name=plain")
    assert plain.read_json("result.json")["final"] != whole.read_json("result.json")["final"]


def test_only_train_is_augmented_and_black_stays_black() -> None:
    chosen = ["dataset=digits", "dataset.normalization=given", "dataset.mean=0.3", "dataset.deviation=0.5"]
    job = build(check(load_config([*chosen, "dataset.augmentation=[{brightness: 0.5}]"])))
    (augmented, _), (plain, _) = (
        next(job.batches.serve_train(64, None, 0)),
        next(job.batches.serve("train", 64)),
    )
    black = plain == plain.min()
    torch.testing.assert_close(augmented[black], plain[black])
    assert not torch.equal(augmented, plain)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset.augmentation=[shift]"], "is for images"),
        (["dataset=digits", "dataset.augmentation=[rotate]"], "Did you mean rotate90?"),
        (["dataset=digits", "dataset.augmentation=[{shift: 0}]"], "must be at least 1"),
        (["dataset=noise", "dataset.shape=[1,8,9]", "dataset.augmentation=[rotate90]"], "needs square images"),
    ],
)
def test_an_augmentation_that_does_not_fit_is_refused(
    overrides: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *overrides]) == 2
    assert message in capsys.readouterr().err
