"""Measure a head's training on stored features against the same with the backbone in every step: equal bits.

`python -m scripts.benchmarks.features [EPOCHS [IMAGES]]` prints Markdown. Whole trainings are timed, in one process:
without the store, with an empty store, and with the features in it.
"""

import sys
import tempfile
import time

from dlexp.config.config import load_config
from dlexp.runs.directory import METRICS
from dlexp.training import loop
from dlexp.training.build import check

JOB = [
    *("model=pretrained", "model.architecture=mobilenet_v3_small", "model.weights=null", "dataset=noise"),
    *("dataset.shape=[3,32,32]", "dataset.classes=10", "dataset.image_size=224", "threads=1"),
]


def main(epochs: int, images: int) -> None:
    """Print one row for each way, with its time as a part of the time without the store."""
    print(f"MobileNetV3 small at 224 × 224, frozen; {images} images, {epochs} epochs, one thread.\n")
    print("| features | seconds | times as fast |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        size = [f"dataset.samples={images + images // 4}", "dataset.test_to_train_ratio=0.25", f"epochs={epochs}"]
        places = [f"output_dir={folder}/outputs", f"data_dir={folder}/data"]
        seconds, rows = [], []
        for name, store in (("computed in every step", False), ("computed once", True), ("in the store", True)):
            started = time.perf_counter()
            run = loop.train(check(load_config([*JOB, *size, *places, f"feature_store={str(store).lower()}"])))
            seconds.append(time.perf_counter() - started)
            kept = ("seconds", "samples_per_second")
            rows.append([{k: v for k, v in row.items() if k not in kept} for row in run.read_table(METRICS)])
            print(f"| {name} | {seconds[-1]:.1f} | {seconds[0] / seconds[-1]:.1f} |", flush=True)
        assert rows[0] == rows[1] == rows[2], "the bits differ"


if __name__ == "__main__":
    main(*map(int, (sys.argv[1:] + ["10", "512"][len(sys.argv) - 1 :])))
