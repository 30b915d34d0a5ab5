"""Datasets: their splits, their normalization, their files."""

import gzip
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from robustness.odd_cases import write_files
from small_runs import train

from dlexp.cli.main import main
from dlexp.config.config import load_config
from dlexp.data import store
from dlexp.data.batches import Batches, shuffled
from dlexp.data.datasets import DATASETS
from dlexp.data.preparation import prepare
from dlexp.data.preprocessing import Preprocessing
from dlexp.data.source import Samples
from dlexp.errors import JobError, UserError
from dlexp.training.build import build, check


def prepared(*overrides: str):
    config = check(load_config(overrides))
    return prepare(config.dataset, Path(config.data_dir))


def sizes(*overrides: str) -> dict[str, int]:
    return {name: len(samples.targets) for name, samples in prepared(*overrides).splits.items()}


def test_the_course_s_ratios_are_of_test_to_train() -> None:
    assert sizes("dataset=iris") == {"train": 125, "test": 25}
    assert sizes("dataset=breast_cancer") == {"train": 517, "test": 52}


def test_validation_comes_from_train_and_no_sample_is_in_two_splits() -> None:
    whole = prepared("dataset=digits", "dataset.test_to_train_ratio=0.25")
    splits = prepared("dataset=digits", "dataset.test_to_train_ratio=0.25", "dataset.validation_fraction=0.1").splits
    assert [len(splits[name].targets) for name in ("train", "validation", "test")] == [1294, 144, 359]
    assert np.array_equal(whole.splits["test"].inputs, splits["test"].inputs)
    rows = [{sample.tobytes() for sample in splits[name].inputs} for name in ("train", "validation", "test")]
    assert not rows[0] & rows[1] and not rows[0] & rows[2] and not rows[1] & rows[2]


def test_stratified_splits_keep_the_classes_shares() -> None:
    targets = prepared("dataset=iris").splits["test"].targets
    assert sorted(np.bincount(targets)) == [8, 8, 9]
    assert sizes("dataset=iris", "dataset.stratified=false") == {"train": 125, "test": 25}


def test_the_split_has_its_own_seed() -> None:
    hashes = [prepared(*o).split_sha256 for o in ([], ["seed=3"], ["dataset.split_seed=3"])]
    assert hashes[0] == hashes[1] != hashes[2]


def test_subsets_have_the_sizes_asked_for() -> None:
    chosen = ["dataset=digits", "dataset.train_size=100", "dataset.test_size=50", "dataset.validation_fraction=0.2"]
    assert sizes(*chosen) == {"train": 80, "validation": 20, "test": 50}


@pytest.mark.parametrize(("size", "least"), [(124, 41), (123, 41), (122, 40), (3, 1)])
def test_a_subset_may_leave_out_fewer_samples_than_there_are_classes(size: int, least: int) -> None:
    chosen, whole = (prepared("dataset=iris", *o).splits["train"] for o in ([f"dataset.train_size={size}"], []))
    rows, every = (Counter(map(bytes, samples.inputs)) for samples in (chosen, whole))
    assert rows <= every, "a sample is in it twice"
    counts = np.bincount(chosen.targets)
    assert counts.sum() == size and counts.min() == least and counts.max() - counts.min() <= 1
    seeded = ["dataset=iris", f"dataset.train_size={size}", "dataset.split_seed=1"]
    assert prepared(*seeded).split_sha256 == prepared(*seeded).split_sha256


def test_one_class_is_refused() -> None:
    with pytest.raises(UserError, match="dataset=noise has one class"):
        prepared("dataset=noise", "dataset.classes=1")


def batch(*overrides: str) -> torch.Tensor:
    job = build(check(load_config([*overrides, "batch_size=full"])))
    return next(job.batches.serve("train", 10_000))[0]


def test_each_normalization_follows_its_formula() -> None:
    raw = prepared("dataset=iris").splits["train"].inputs
    assert np.array_equal(batch("dataset=iris", "dataset.normalization=none"), raw)
    standard = batch("dataset=iris", "dataset.normalization=standard")
    torch.testing.assert_close(standard.mean(0), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(standard.std(0, correction=0), torch.ones(4))
    unit = batch("dataset=iris", "dataset.normalization=unit")
    assert unit.amin(0).tolist() == [0] * 4 and unit.amax(0).tolist() == pytest.approx([1] * 4)
    given = batch("dataset=iris", "dataset.normalization=given", "dataset.mean=2", "dataset.deviation=[1,2,3,4]")
    torch.testing.assert_close(given, (torch.from_numpy(raw) - 2) / torch.tensor([1.0, 2, 3, 4]))


def test_images_are_normalized_by_the_batch() -> None:
    raw = torch.from_numpy(prepared("dataset=digits").splits["train"].inputs).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(batch("dataset=digits"), raw / 16)
    torch.testing.assert_close(batch("dataset=digits", "dataset.normalization=none"), raw)
    given = ["dataset.normalization=given", "dataset.mean=0.3", "dataset.deviation=0.5"]
    torch.testing.assert_close(batch("dataset=digits", *given), (raw / 16 - 0.3) / 0.5)
    standard = batch("dataset=digits", "dataset.normalization=standard")
    assert standard.mean().item() == pytest.approx(0, abs=1e-6)
    assert standard.std(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_statistics_come_from_train_alone_and_constant_features_are_only_centred() -> None:
    splits = prepared("dataset=digits", "dataset.normalization=standard", "dataset.train_size=50")
    assert splits.preprocessing.mean == pytest.approx([splits.splits["train"].inputs.mean()])


def test_a_constant_that_no_float_holds_exactly_is_only_centred() -> None:
    inputs, targets = [[0.1, i] for i in range(49)], [0, 1] * 24 + [0]
    chosen = [
        "dataset=inline",
        f"dataset.inputs={inputs}",
        f"dataset.targets={targets}",
        "dataset.normalization=standard",
    ]
    other = ["dataset.test_inputs=[[0.2, 0]]", "dataset.test_targets=[0]"]
    batches = build(check(load_config([*chosen, *other]))).batches
    ((seen, _),) = batches.serve("test", 1)
    assert seen[0, 0].item() == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        ("train[0][3, 1] = np.nan", "the train split's inputs: sample 3, feature 1 is nan"),
        ("test[1][0] = 2", "the test split's targets have class 2; there are 2, from 0"),
        ("test[0], test[1] = test[0][:0], test[1][:0]", "the test split's inputs are 0"),
        ("train[1] = train[1] + 0.5", "the train split's targets are float64() each, not the number of a class"),
    ],
)
def test_samples_of_a_user_s_dataset_are_checked(harm: str, message: str) -> None:
    write_files(["imports=[odd]"], Path.cwd())
    with pytest.raises(UserError, match=re.escape(message)):
        train("imports=[odd]", "dataset=odd", f"dataset.harm='{harm}'")
    assert not Path("outputs").exists()


def test_batches_follow_the_order_from_any_start() -> None:
    inputs = np.arange(50 * 4, dtype=np.uint8).reshape(50, 2, 2, 1)
    samples = {"train": Samples(inputs, np.arange(50))}
    preprocessing = Preprocessing(np.zeros(1), np.full(1, 2.0))
    batches = Batches(samples, preprocessing, torch.device("cpu"), torch.float32)
    order = shuffled(50, 7, 3, torch.device("cpu"))
    assert sorted(order.tolist()) == list(range(50)) and order.tolist() != list(range(50))
    every = list(batches.serve("train", 8, order))
    assert [len(targets) for _, targets in every] == [8] * 6 + [2]
    assert torch.cat([targets for _, targets in every]).tolist() == order.tolist()
    assert torch.equal(every[0][0], torch.from_numpy(inputs[order[:8].numpy()]).permute(0, 3, 1, 2) / 2)
    for start in range(8):
        rest = list(batches.serve("train", 8, order, start))
        assert len(rest) == len(every) - start
        for (inputs_, targets), (expected, expected_targets) in zip(rest, every[start:], strict=True):
            assert torch.equal(inputs_, expected) and torch.equal(targets, expected_targets)


def test_cifar10_is_checked_adopted_and_shared(data_dir: Path) -> None:
    splits, sha256 = store.read("cifar10", DATASETS.find("cifar10")(), data_dir)
    assert splits["train"].inputs.shape == (50_000, 32, 32, 3) and isinstance(splits["train"].inputs, np.memmap)
    assert np.bincount(splits["train"].targets).tolist() == [5000] * 10
    assert json.loads((data_dir / "cifar10" / "checksums.json").read_text()).keys() == set(store.FILES)
    assert store.read("cifar10", DATASETS.find("cifar10")(), data_dir)[1] == sha256


def test_mnist_has_the_published_samples(data_dir: Path) -> None:
    splits, _ = store.read("mnist", DATASETS.find("mnist")(), data_dir)
    pixels = splits["train"].inputs.astype(np.float64) / 255
    assert splits["train"].inputs.shape == (60_000, 28, 28, 1) and splits["test"].targets.shape == (10_000,)
    assert (round(pixels.mean(), 4), round(pixels.std(), 4)) == (0.1307, 0.3081)
    assert splits["train"].targets[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def test_hoda_is_the_homework_s_subset(data_dir: Path) -> None:
    from scipy.io import loadmat

    splits, _ = store.read("hoda", DATASETS.find("hoda")(), data_dir)
    content = loadmat(data_dir / "hoda" / "Data_hoda_full.mat")
    labels = content["labels"].ravel()
    assert np.array_equal(splits["train"].targets, labels[:1000])
    assert np.array_equal(splits["test"].targets, labels[1000:1200])
    for number in (0, 17, 999):
        expected = bilinear(content["Data"].ravel()[number].astype(float), 5, 5)
        assert np.abs(splits["train"].inputs[number, :, :, 0] - expected).max() <= 0.5 + 1e-3  # rounded to uint8


def bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Interpolate bilinearly: pixel centres at one half, edges repeated, no antialiasing."""
    result = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * image.shape[0] / height - 0.5, 0), image.shape[0] - 1)
            x = min(max((j + 0.5) * image.shape[1] / width - 0.5, 0), image.shape[1] - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            a, b = y - top, x - left
            upper = (1 - b) * image[top, left] + b * image[top, right]
            lower = (1 - b) * image[bottom, left] + b * image[bottom, right]
            result[i, j] = (1 - a) * upper + a * lower
    return result


@pytest.mark.slow
def test_hoda_full_is_stratified_and_fits(data_dir: Path) -> None:
    splits, _ = store.read("hoda_full", DATASETS.find("hoda_full")(), data_dir)
    assert [samples.inputs.shape for samples in splits.values()] == [(50_000, 32, 32, 1), (10_000, 32, 32, 1)]
    assert np.bincount(splits["test"].targets).tolist() == [1000] * 10
    assert np.bincount(splits["train"].targets).tolist() == [5000] * 10
    assert all(image.any() for image in splits["test"].inputs)


@pytest.fixture
def hoda(data_dir: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "hoda"
    folder.mkdir(parents=True)
    shutil.copy(data_dir / "hoda" / "Data_hoda_full.mat", folder)
    store.fetch("hoda", DATASETS.find("hoda")(), tmp_path / "data")
    return folder


@pytest.mark.parametrize("file", [*store.FILES, store.CHECKSUMS])
def test_a_damaged_file_is_named_and_not_trained_on(file: str, hoda: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray((hoda / file).read_bytes())
    content[-20] ^= 1
    (hoda / file).write_bytes(content)
    assert main(["train", "dataset=hoda"]) == 2
    assert main(["data", "verify", "hoda"]) == 2
    assert main(["data", "fetch", "hoda"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("is damaged") == 3 and "Traceback" not in errors and not Path("outputs").exists()
    for path in hoda.glob("*.npy"):
        path.unlink()
    (hoda / store.CHECKSUMS).unlink()
    assert main(["data", "fetch", "hoda"]) == 0
    assert main(["data", "verify", "hoda"]) == 0


def test_the_files_of_a_killed_fetch_are_never_read_as_data(hoda: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = DATASETS.find("hoda")()
    for path in hoda.glob("*.npy"):
        path.unlink()
    (hoda / store.CHECKSUMS).unlink()
    replace = Path.replace
    for renames in range(len(store.FILES) + 1):
        left = iter(range(renames))

        def dies(self: Path, target: Path, left=left) -> Path:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return replace(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", dies)
            with pytest.raises(KeyboardInterrupt):
                store.fetch("hoda", source, hoda.parent)
        if not store.is_complete(hoda):
            with pytest.raises(UserError, match="dlexp data fetch hoda"):
                store.verify("hoda", source, hoda.parent)
    assert not list(hoda.glob("*.part"))
    for left in ("train_inputs.npy", store.CHECKSUMS):  # fetching only the missing files
        (hoda / left).unlink()
        (hoda / f"{left}.part").write_bytes(b"half")  # as SIGKILL leaves it
        store.fetch("hoda", source, hoda.parent)
        assert not list(hoda.glob("*.part"))
    store.verify("hoda", source, hoda.parent)


def test_an_incomplete_download_is_fetched_again_and_a_missing_network_reported(hoda: Path) -> None:
    for path in [*hoda.glob("*.npy"), hoda / store.CHECKSUMS]:
        path.unlink()
    os.truncate(hoda / "Data_hoda_full.mat", 100_000)
    with pytest.raises(JobError, match="could not be fetched") as error:
        train("dataset=hoda")
    assert "dlexp data fetch hoda" in str(error.value) and "Data_hoda_full.mat" in str(error.value)
    assert str(hoda) in str(error.value)
    assert not store.is_complete(hoda)


def test_files_that_another_program_wrote_are_checked_once(hoda: Path) -> None:
    source = DATASETS.find("hoda")()
    (hoda / store.CHECKSUMS).unlink()
    store.verify("hoda", source, hoda.parent)
    (hoda / store.CHECKSUMS).unlink()
    np.save(hoda / "train_targets.npy", np.full(1000, 10))
    with pytest.raises(UserError, match=r"train_targets\.npy is not hoda"):
        store.verify("hoda", source, hoda.parent)


def test_cifar_pixels_are_recognized_in_any_order(data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cifar10"
    shutil.copytree(data_dir / "cifar10", folder)
    (folder / store.CHECKSUMS).unlink(missing_ok=True)
    inputs = np.load(folder / "train_inputs.npy", mmap_mode="r+")
    inputs[123, 4, 5, 1] ^= 1
    inputs.flush()
    with pytest.raises(UserError, match="pixels or labels are not the published"):
        store.verify("cifar10", DATASETS.find("cifar10")(), tmp_path)


def test_idx_files_are_read_big_endian(tmp_path: Path) -> None:
    from dlexp.data.datasets.mnist import _idx

    header = bytes([0, 0, 8, 2]) + (2).to_bytes(4, "big") + (3).to_bytes(4, "big")
    (tmp_path / "x.gz").write_bytes(gzip.compress(header + bytes(range(6))))
    assert _idx(tmp_path / "x.gz").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_cifar_10_is_read_from_its_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    pixels = np.arange(20 * 3072).reshape(20, 3072).astype(np.uint8)
    batches = {
        name: pickle.dumps({"data": pixels[i : i + 4], "labels": [i, 1, 2, 3]}, 2)
        for i, name in enumerate(name for name, _ in [*CIFAR10.train_list, *CIFAR10.test_list])
    }
    folder = Path("data/cifar10")
    folder.mkdir(parents=True)
    with tarfile.open(folder / CIFAR10.filename, "w:gz") as archive:
        for name, content in batches.items():
            member = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    digest = hashlib.md5((folder / CIFAR10.filename).read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "tgz_md5", digest)
    for names in ("train_list", "test_list"):
        known = [[name, hashlib.md5(batches[name]).hexdigest()] for name, _ in getattr(CIFAR10, names)]
        monkeypatch.setattr(CIFAR10, names, known)
    splits = DATASETS.find("cifar10")().convert(folder)  # type: ignore[misc]
    assert splits["train"].inputs.shape == (20, 32, 32, 3) and splits["test"].inputs.shape == (4, 32, 32, 3)
    assert (splits["train"].inputs[5] == pixels[2].reshape(3, 32, 32).transpose(1, 2, 0)).all()
    assert splits["test"].targets.tolist() == [5, 1, 2, 3]
    assert [path.name for path in folder.iterdir()] == [CIFAR10.filename], "nothing is unpacked to the disk"
