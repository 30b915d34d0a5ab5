"""Nets that were trained elsewhere: their weights, preprocessing, frozen parts and features."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import torch
import torchvision
from PIL import Image
from small_runs import PRETRAINED, TABULAR, assert_same_end, resume, train
from torch import nn

from dlexp import load_run
from dlexp.cli.main import main
from dlexp.config.config import load_config
from dlexp.data.preprocessing import Preprocessing
from dlexp.errors import UserError
from dlexp.models import published
from dlexp.models.backbone import Backbone
from dlexp.runs.directory import RunDirectory
from dlexp.storage.untrusted import file_sha256
from dlexp.training import checkpoint
from dlexp.training.build import build, check
from dlexp.training.setup.job import Job

SMALL = "shufflenet_v2_x0_5"
SIZE = ("resize", "image_size", "interpolation")
needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="needs dlexp[timm]")


def job_of(*overrides: str) -> Job:
    return build(check(load_config([*PRETRAINED, *overrides])))


def weights(run: RunDirectory) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoint.load(run.checkpoints()[0])["model"]
    return state


def published_file(path: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    state: dict[str, torch.Tensor] = torchvision.models.get_model(SMALL, weights=None).state_dict()
    torch.save(state, path)
    return state


@pytest.mark.parametrize(
    "architecture",
    ["resnet18", "mobilenet_v3_small", SMALL, "mnasnet0_5", "densenet121", "regnet_x_400mf", "googlenet", "swin_t"],
)
def test_backbone_and_old_head_are_the_published_net(architecture: str) -> None:
    net = published.published_net(architecture).eval()
    images = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        expected = net(images)
        *_, last = (module for module in net.modules() if isinstance(module, nn.Linear))
        model = Backbone(net, 5).eval()
        assert model(images).shape == (3, 5)
        torch.testing.assert_close(last(model.features(images)), expected)


def test_a_net_without_a_linear_head_is_refused() -> None:
    with pytest.raises(UserError, match=r"SqueezeNet ends in AdaptiveAvgPool2d, not in a linear layer"):
        Backbone(published.published_net("squeezenet1_1"), 10)


@pytest.mark.parametrize("architecture", ["resnet18", "efficientnet_b0", "vit_b_16"])
def test_preprocessing_is_that_of_torchvision(architecture: str) -> None:
    wanted = published.preprocessing_of(architecture, "default")
    images = torch.randint(256, (2, 3, 300, 280), dtype=torch.uint8)
    mean, deviation = (255 * np.array(each) for each in (wanted.mean, wanted.deviation))
    ours = Preprocessing(mean, deviation, **{key: getattr(wanted, key) for key in SIZE})
    transforms = torchvision.models.get_model_weights(architecture).DEFAULT.transforms()
    scale, shift = ours.affine(4, torch.float32, torch.device("cpu"))
    # Sizes and pixels are equal to the bit; (x / 255 − mean) / deviation and x · scale + shift differ by rounding.
    torch.testing.assert_close(ours.resized(images) * scale + shift, transforms(images), rtol=0, atol=2e-6)
    if wanted.resize != wanted.image_size:
        cropped = torchvision.transforms.functional.center_crop(
            torchvision.transforms.functional.resize(images, [wanted.resize], transforms.interpolation, antialias=True),
            transforms.crop_size,
        )
        assert torch.equal(ours.resized(images), cropped)


@needs_timm
def test_preprocessing_is_that_of_timm_but_for_a_grey_level() -> None:
    import timm

    wanted = published.preprocessing_of("timm/tf_efficientnet_lite0", None)
    generator = np.random.default_rng(0)
    smooth = Image.fromarray(generator.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((320, 240), 3)
    facts = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg("tf_efficientnet_lite0").to_dict())
    theirs = timm.data.create_transform(**facts)(smooth)
    images = torch.from_numpy(np.array(smooth)).permute(2, 0, 1)[None]
    mean, deviation = (255 * np.array(each) for each in (wanted.mean, wanted.deviation))
    ours = Preprocessing(mean, deviation, **{key: getattr(wanted, key) for key in SIZE})
    scale, shift = ours.affine(4, torch.float32, torch.device("cpu"))
    # Pillow, which timm uses, rounds after each of two passes: at most one of 255 levels, 0.008 of these units.
    torch.testing.assert_close((ours.resized(images) * scale + shift)[0], theirs, rtol=0, atol=1.01 / 127.5)


def test_weights_replace_the_preprocessing_of_the_dataset_and_what_overrules_them_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = train(*PRETRAINED, "epochs=0")
    kept, wanted = run.read_json("preprocessing.json"), published.preprocessing_of(SMALL, "default")
    assert kept["mean"] == [16 * each for each in wanted.mean]  # digits have 16 grey levels
    assert kept["image_size"] == 32 and kept["resize"] == round(32 * wanted.resize / wanted.image_size)
    published_file(Path("weights.pth"))
    train(*PRETRAINED, "epochs=0", "model.weights=weights.pth")
    assert "dataset.image_size is 32 here, but the weights were trained with 224." in capsys.readouterr().err


def test_a_file_of_weights_is_loaded_by_name_or_else_by_order(capsys: pytest.CaptureFixture[str]) -> None:
    state = published_file(Path("weights.pth"))
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, "renamed.pth")
    for file, said in [("weights.pth", False), ("renamed.pth", True)]:
        own = job_of(f"model.weights={file}").model.backbone.state_dict()
        assert all(torch.equal(own[name], tensor) for name, tensor in state.items() if name in own)
        train(*PRETRAINED, f"model.weights={file}", "epochs=0")
        assert ("matched by order and shape" in capsys.readouterr().err) == said
    Path("text.pth").write_text("no weights")
    torch.save({"fc.weight": torch.zeros(3)}, "other.pth")
    for file, message in [
        ("missing.pth", "there is no such file"),
        ("text.pth", "is not a file of weights"),
        ("other.pth", "does not fit the architecture: it has no conv1.0.weight"),
        ("IMAGENET1K_V9", "has no such weights.*IMAGENET1K_V1"),
    ]:
        with pytest.raises(UserError, match=message):
            job_of(f"model.weights={file}")


def test_published_weights_are_checked_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    state = published_file(Path("fetched"))
    digits = file_sha256(Path("fetched"))[:8]
    there = Path("hub/checkpoints") / f"small-{digits}.pth"
    there.parent.mkdir(parents=True)
    Path("fetched").rename(there)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "hub")
    address = SimpleNamespace(url=f"https://nowhere.invalid/small-{digits}.pth")
    transforms = published._published(SMALL, "default").transforms
    address.transforms = transforms
    monkeypatch.setattr(published, "_published", lambda *_: address)
    own = job_of("model.weights=default").model.backbone.state_dict()
    assert torch.equal(own["conv1.0.weight"], state["conv1.0.weight"])
    there.write_bytes(there.read_bytes()[:-1])
    with pytest.raises(UserError, match="is damaged: its SHA-256 does not begin with"):
        job_of("model.weights=default")


def test_a_frozen_backbone_gives_the_same_bits_with_and_without_its_stored_features() -> None:
    overrides = [*PRETRAINED, "epochs=3", "batch_size=24", "model.weights=null", "dataset.validation_fraction=0.2"]
    computed = train(*overrides, "feature_store=false")
    stored = train(*overrides)
    again = train(*overrides)  # from the file
    assert len(list(Path("data/features").glob("*/*.npy"))) == 3
    assert_same_end(computed, stored)
    assert_same_end(computed, again)
    for epoch in (1, 2):
        assert_same_end(computed, resume(train(*overrides, f"stop_at={epoch}")))
        assert_same_end(computed, resume(train(*overrides, f"stop_at={epoch}", "feature_store=false")))
    (file,) = Path("data/features").glob("*/train.npy")
    content = bytearray(file.read_bytes())
    content[200] ^= 1
    file.write_bytes(content)
    assert_same_end(computed, train(*overrides))  # a damaged file is computed anew


def test_frozen_layers_keep_weights_and_statistics_until_they_are_unfrozen() -> None:
    before = job_of().model.state_dict()
    frozen = weights(train(*PRETRAINED, "epochs=2"))
    assert [name for name in before if not torch.equal(before[name], frozen[name])] == ["head.weight", "head.bias"]
    unfrozen = [*PRETRAINED, "epochs=3", "model.unfreeze_at=2", "batch_size=50"]
    whole = train(*unfrozen)
    until = weights(train(*unfrozen, "stop_at=2"))
    assert torch.equal(until["backbone.conv1.1.running_mean"], before["backbone.conv1.1.running_mean"])
    assert not torch.equal(weights(whole)["backbone.conv1.0.weight"], before["backbone.conv1.0.weight"])
    for epoch in (1, 2):
        assert_same_end(whole, resume(train(*unfrozen, f"stop_at={epoch}")))


def test_layers_of_any_model_are_frozen_by_name_or_number(capsys: pytest.CaptureFixture[str]) -> None:
    net = ["model.hidden_sizes=[5,4]", "epochs=1"]
    start = weights(train(*net, "epochs=0"))
    for freeze, kept in [("backbone", [0, 2]), ("1", [0]), ("[2,4]", [2, 4])]:
        end = weights(train(*net, f"model.freeze={freeze}"))
        assert {int(name[0]) for name in start if torch.equal(start[name], end[name])} == set(kept)
    assert main(["summary", "model.hidden_sizes=[5,4]", "model.freeze=1"]) == 0
    assert "0 Linear (frozen)" in (said := capsys.readouterr().out) and "of them trained" in said
    for wrong, message in [
        ("model.freeze=[0,9]", "there is no layer 9"),
        ("model.freeze=3", "the model has 3 layers with weights, the last its head"),
        ("model.unfreeze_at=2", "needs model.freeze"),
        ("model.freeze=[0,2,4]", "no parameters to train"),
    ]:
        with pytest.raises(UserError, match=message):
            train(*net, wrong)


def test_the_backbone_has_a_learning_rate_of_its_own() -> None:
    net = ["model.hidden_sizes=[5]", "optimizer=sgd", "optimizer.lr=0.1", "batch_size=full", "epochs=1"]
    start, usual, slower = (
        weights(train(*net, *more)) for more in (["epochs=0"], [], ["optimizer.backbone_lr_ratio=0.25"])
    )
    for name, tensor in start.items():
        ratio = 0.25 if name.startswith("0.") else 1
        torch.testing.assert_close(slower[name] - tensor, ratio * (usual[name] - tensor), rtol=1e-4, atol=1e-7)
    with pytest.raises(UserError, match="has no effect: the backbone is not trained"):
        train(*net, "optimizer.backbone_lr_ratio=0.25", "model.freeze=backbone")


def test_a_run_starts_from_another_run(capsys: pytest.CaptureFixture[str]) -> None:
    first = train(*TABULAR, "epochs=3")
    again = train(*TABULAR, "epochs=0", f"model.init_from={first.path}")
    assert all(torch.equal(tensor, weights(again)[name]) for name, tensor in weights(first).items())
    hashes = again.read_json("environment.json")
    assert hashes["init_from_sha256"] == hashes["initial_weights_sha256"]
    capsys.readouterr()
    other = train(*TABULAR, "epochs=0", f"model.init_from={first.path}", "dataset.positive_class=setosa")
    assert "4.weight, 4.bias start anew" in capsys.readouterr().err
    assert torch.equal(weights(other)["0.weight"], weights(first)["0.weight"])
    with pytest.raises(UserError, match=r"0\.weight is \(9, 4\) here and \(16, 4\) in that run"):
        train(*TABULAR, "model.hidden_sizes=[9]", f"model.init_from={first.path}")
    with pytest.raises(UserError, match="is not a run"):
        train(*TABULAR, "model.init_from=nowhere")
    stopped = train(*TABULAR, "epochs=2", "stop_at=1", f"model.init_from={first.path}")
    whole = train(*TABULAR, "epochs=2", f"model.init_from={first.path}")
    for file in first.path.rglob("*.pt"):
        file.unlink()  # what it started from is needed no more
    assert_same_end(whole, resume(stopped))


def test_a_run_that_resizes_predicts_what_it_evaluates_and_takes_pictures_of_any_size(tmp_path: Path) -> None:
    run = load_run(str(train(*PRETRAINED, "epochs=2").path))
    job = job_of()
    raw = job.batches.images("test", torch.arange(40))
    outputs = pandas.read_csv(run.path / "predictions.csv")
    predicted = run.predict(raw)
    assert list(predicted["prediction"].astype(int)) == list(outputs["prediction"])
    assert list(predicted["confidence"]) == list(outputs["confidence"])
    large = np.random.default_rng(0).integers(0, 256, (90, 120), dtype=np.uint8)
    Image.fromarray(large).save(tmp_path / "large.png")
    levels = torch.from_numpy(np.rint(large * (16 / 255)).astype(np.uint8))[None, None]
    batch = run.preprocessing.resized(levels)  # once, from all pixels
    scale, shift = run.preprocessing.affine(4, torch.float32, torch.device("cpu"))
    with torch.no_grad():
        expected = run.load_model()(batch * scale + shift).softmax(1)[0]
    found = run.predict(tmp_path / "large.png").iloc[0]
    assert found["confidence"] == pytest.approx(expected.max().item(), abs=1e-6)
    assert main(["export", "torch", str(run.path), "--to", "net"]) == 0
    exported = torch.export.load("net.pt2").module()(torch.from_numpy(raw))
    assert exported.max(1).values.tolist() == pytest.approx(predicted["confidence"].to_list(), abs=1e-5)
