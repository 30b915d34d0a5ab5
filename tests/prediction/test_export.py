"""An exported net gives, from raw inputs and without dlexp, what the run predicts; its names are inside."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_runs import SMALL_CNN, train

from dlexp import load_run
from dlexp.cli.main import main
from dlexp.data.preparation import prepare
from dlexp.training.build import check

KINDS = {
    "images": ["dataset=digits", "dataset.train_size=200", "dataset.normalization=standard", *SMALL_CNN],
    "one node": ["dataset=breast_cancer", "loss=binary_cross_entropy", "dataset.normalization=standard"],
    "values in units": ["dataset=diabetes", "loss=mse"],
    "float64": ["dataset=iris", "precision=float64", "model.batch_norm=true"],
    "probabilities": ["dataset=iris", "model=layers", "model.layers=[{linear: 3}, softmax]", "loss=half_squared_error"],
}
# Another process, which knows PyTorch and ONNX Runtime, and nothing of dlexp.
READ = """
import json, sys, numpy, onnxruntime, torch
extra = {"class_names": "", "value_names": ""}
net = torch.export.load("net.pt2", extra_files=extra).module()
session = onnxruntime.InferenceSession("net.onnx")
assert not any(name.startswith("dlexp.") for name in sys.modules)
inputs, read = numpy.load("inputs.npy"), {}
for name, notes, outputs in (
    ("torch", extra, lambda x: net(torch.from_numpy(x)).numpy()),
    ("onnx", session.get_modelmeta().custom_metadata_map, lambda x: session.run(None, {"inputs": x})[0]),
):
    names = json.loads(notes["class_names"]) or json.loads(notes["value_names"])
    read[name] = {"names": names, "one": outputs(inputs[:1]).tolist(), "all": outputs(inputs).tolist()}
print(json.dumps(read))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_export_gives_what_the_run_predicts(kind: str) -> None:
    pytest.importorskip("onnxruntime")
    run = load_run(str(train(*KINDS[kind], "name=study/net").path))
    inputs = prepare(check(run.config, kept=True).dataset, Path(run.config.data_dir)).splits["test"].inputs
    floats = "float64" if kind == "float64" else "float32"
    np.save("inputs.npy", inputs if inputs.dtype == np.uint8 else inputs.astype(floats))
    for name in ("torch", "onnx"):
        assert main(["export", name, str(run.path)]) == 0
    command = [sys.executable, "-W", "ignore", "-c", READ]
    read = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    expected: pd.DataFrame = run.predict(inputs)
    for found in read.values():
        assert found["names"] == list(run.source.class_names or run.source.value_names)
        columns = expected[found["names"]].to_numpy(dtype=float)
        np.testing.assert_allclose(found["all"], columns, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found["one"], columns[:1], rtol=1e-4, atol=1e-5)


def test_an_export_overwrites_nothing_and_names_its_formats(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("dataset=iris", "name=net")
    Path("net.pt2").write_text("mine")
    for arguments, complaint in (
        (["torch", str(run.path)], "net.pt2 exists already"),
        (["pytorch", str(run.path)], "There is no format pytorch. Did you mean torch?"),
        (["torch", str(run.path), "--to", "nowhere/net"], "the folder nowhere does not exist"),
        (["torch", str(run.path), str(run.path), "--to", "net"], "is one file for 2 runs"),
        (["torch", str(run.path), "--best", "--to", "other"], "has no best.pt"),
    ):
        assert main(["export", *arguments]) == 2
        assert complaint in capsys.readouterr().err
    assert Path("net.pt2").read_text() == "mine"


def test_a_net_that_is_not_the_run_s_own_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("dataset=iris", "name=net")
    monkeypatch.setattr("dlexp.data.preprocessing.Preprocessing.normalize", lambda self, inputs: inputs + 1)
    assert main(["export", "torch", str(run.path)]) == 1
    assert "gives other outputs" in capsys.readouterr().err and not Path("net.pt2").exists()
