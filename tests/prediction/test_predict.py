"""Predictions are those of an evaluation, to the bit; what cannot be used is named, and nothing else is lost."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from small_runs import train

from dlexp import load_run
from dlexp.cli.main import main
from dlexp.data.preparation import prepare
from dlexp.errors import JobError, UserError
from dlexp.training.build import build, check
from dlexp.training.evaluation import evaluate_splits
from dlexp.training.run import Run

SIGNALS = "[" + ",".join(f"[[{i},{i * i % 7},3],[{i % 3},1,{-i}]]" for i in range(12)) + "]"
KINDS = {
    "tabular": ["dataset=iris", "dataset.validation_fraction=0.2"],
    "unit": ["dataset=iris", "dataset.normalization=unit", "precision=float64"],
    "images": ["dataset=digits", "dataset.train_size=200", "model.hidden_sizes=[16]", "dataset.normalization=standard"],
    "positive class": ["dataset=digits", "dataset.train_size=200", "dataset.positive_class='3'"],
    "one node": ["dataset=breast_cancer", "loss=binary_cross_entropy", "dataset.normalization=standard"],
    "one node of a class": ["dataset=iris", "dataset.positive_class=setosa", "loss=binary_cross_entropy"],
    "bfloat16": ["dataset=digits", "dataset.train_size=200", "precision=bfloat16"],
    "values": ["dataset=diabetes", "loss=mse"],
    "values as they are": ["dataset=linear_map", "loss=mse"],
    "ends in sigmoid": [
        "dataset=iris", "model=layers", "model.layers=[{linear: 3}, sigmoid]", "loss=half_squared_error",
    ],
    "signals": ["dataset=inline", f"dataset.inputs={SIGNALS}", "dataset.targets=[" + ",".join("01" * 6) + "]"],
    "no targets": ["dataset=inline", "dataset.targets=null", "dataset.class_names=null", "loss=output_matching",
                   "epochs=0", "shuffle=false"],
}  # fmt: skip


def test_inputs(run: Run) -> np.ndarray:
    return prepare(check(run.config, kept=True).dataset, Path(run.config.data_dir)).splits["test"].inputs


test_inputs.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_equal_an_evaluation_to_the_bit(kind: str) -> None:
    run = load_run(str(train(*KINDS[kind]).path))
    inputs = test_inputs(run)
    found = run.predict(inputs)
    job = build(check(run.config, kept=True))
    job.model.load_state_dict(run.load_model().state_dict())
    outputs = evaluate_splits(job)[1]["test"]
    table = pd.read_csv(run.path / "predictions.csv")
    if job.source.class_names:
        z = outputs if outputs.shape[1] > 1 else torch.cat([torch.zeros_like(outputs), outputs], 1)
        z = z.log() if kind == "ends in sigmoid" else z
        assert np.array_equal(found[list(job.source.class_names)].to_numpy(), z.softmax(1).double().numpy())
        assert found["confidence"].tolist() == table["confidence"].tolist()
        assert found["prediction"].astype(str).tolist() == table["prediction"].astype(str).tolist()
    else:
        names = [c for c in table.columns if c.startswith(("predicted ", "output "))]
        assert np.array_equal(found.to_numpy(), table[names].to_numpy())
    assert found.index.tolist() == list(range(len(inputs)))
    pd.DataFrame(inputs.reshape(len(inputs), -1)).to_csv("rows.csv", index=False, header=False)
    np.save("array.npy", inputs)
    frame = run.predict(pd.DataFrame(inputs.reshape(len(inputs), -1).astype(inputs.dtype)))
    for other in (run.predict("rows.csv"), run.predict("array.npy"), frame):
        pd.testing.assert_frame_equal(other, found, check_exact=True)


def test_files_of_pictures_give_what_the_bytes_in_them_give(capsys: pytest.CaptureFixture[str]) -> None:
    run = load_run(str(train("dataset=noise", "dataset.shape=[3,8,6]", "dataset.classes=3", "epochs=1",
                             "dataset.test_to_train_ratio=0.5").path))  # fmt: skip
    digits = load_run(str(train(*KINDS["images"]).path))
    capsys.readouterr()
    for each, largest in ((run, 255), (digits, 16)):
        inputs = test_inputs(each)
        folder = Path(f"pictures{largest}")
        folder.mkdir()
        for i, pixels in enumerate(np.rint(inputs * (255 / largest)).astype(np.uint8)):
            Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(folder / f"{i:03}.png")
        found = each.predict(folder)
        pd.testing.assert_frame_equal(found.reset_index(drop=True), each.predict(inputs).reset_index(drop=True),
                                      check_exact=True)  # fmt: skip
        assert found.index.tolist()[1] == f"pictures{largest}/001.png"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "way",
    ["rotated", "palette", "transparent", "black and white", "16 bits", "cmyk", "grey and alpha", "gif", "larger"],
)
def test_pictures_of_every_kind_are_read_as_people_see_them(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = load_run(str(train("dataset=noise", "dataset.shape=[1,6,8]", "dataset.classes=3", "epochs=1",
                             "dataset.test_to_train_ratio=0.5").path))  # fmt: skip
    seen = np.zeros((6, 8), np.uint8)
    seen[:3, :4] = 255
    picture, file = Image.fromarray(seen), io.BytesIO()
    if way == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned clockwise
        picture.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    elif way == "transparent":
        clear = Image.new("RGBA", (8, 6), (0, 0, 0, 255))
        clear.paste((90, 0, 0, 0), (0, 0, 4, 3))
        clear.save(file, "PNG")
    elif way == "16 bits":
        Image.fromarray(seen.astype(np.uint16) * 257).save(file, "PNG")
    elif way == "cmyk":
        picture.convert("CMYK").save(file, "TIFF")
    elif way == "larger":
        picture.resize((64, 48), Image.Resampling.NEAREST).crop((-8, 0, 72, 48)).save(file, "PNG")
    else:
        mode = {"palette": "P", "black and white": "1", "grey and alpha": "LA", "gif": "L"}[way]
        picture.convert(mode).save(file, "GIF" if way == "gif" else "PNG")
    Path("picture.png").write_bytes(file.getvalue())
    found = run.predict("picture.png")
    expected = run.predict(seen[..., None])
    tolerance = {"cmyk": 1e-3, "larger": 0.01}.get(way, 0)  # a scaled edge is softer
    np.testing.assert_allclose(found.iloc[0, 1:].astype(float), expected.iloc[0, 1:].astype(float), atol=tolerance)
    assert ("1 picture is of another size" in capsys.readouterr().err) is (way == "larger")


def test_what_cannot_be_used_is_named_and_the_rest_is_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("dataset=digits", "dataset.train_size=100", "epochs=1")
    capsys.readouterr()
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8)).save(whole, "PNG")
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    eight = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(eight, "PNG")
    folder = Path("scans")
    folder.mkdir()
    for name, content in {
        "bomb.png": bomb.getvalue(), "large.png": eight.getvalue(), "cut.png": whole.getvalue()[:-40], "empty.png": b"",
        "good.jpeg": whole.getvalue(), "text.png": b"hello", "notes.txt": b"hello", ".hidden": b"x",
        "drawing.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
    }.items():  # fmt: skip
        (folder / name).write_bytes(content)
    (folder / "link.png").symlink_to("/etc/passwd")
    Path("rows.csv").write_bytes(whole.getvalue())
    assert main(["predict", str(run.path), "scans", "missing.png", "rows.csv"]) == 2
    out, errors = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["scans/good.jpeg"]
    for name, reason in {
        "bomb.png": "more pixels", "large.png": "9,000 × 9,000 pixels", "cut.png": "cannot be decoded",
        "empty.png": "it is empty", "text.png": "no picture", "notes.txt": "no picture", "drawing.png": "no picture",
        "link.png": "is a link",
    }.items():  # fmt: skip
        (line,) = [line for line in errors.splitlines() if f"scans/{name}" in line]
        assert reason in line
    assert "missing.png: it does not exist." in errors and "rows.csv: it is no CSV" in errors
    assert ".hidden" not in errors and len(errors.splitlines()) == 10
    assert main(["predict", str(run.path), "missing.png"]) == 2
    assert capsys.readouterr().out == ""


def test_rows_that_cannot_be_used_are_named_by_row_and_column(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train("dataset=iris")
    capsys.readouterr()
    lines = ["a;b;c;d", "5.1;3.5;1.4;0.2", "5.1;;1.4;0.2", "", "5.1;x;1.4;0.2", "1;2;3", "1;2;3;nan", "1;2;3;1e300"]
    Path("rows.csv").write_text("\ufeff" + "\r\n".join(lines))
    assert main(["predict", str(run.path), "rows.csv", "--csv"]) == 2
    out, errors = capsys.readouterr()
    assert pd.read_csv(io.StringIO(out))["row"].tolist() == [0]
    assert errors.splitlines() == [
        "dlexp: rows.csv, row 1 (line 3): column 1 (b): a value is missing.",
        "dlexp: rows.csv, row 2 (line 5): column 1 (b): x is no number.",
        "dlexp: rows.csv, row 3 (line 6): it has 3 columns, and the run takes 4.",
        "dlexp: rows.csv, row 4 (line 7): column 3 (d): nan is not finite.",
        "dlexp: row 5: column 3: too large for precision=float32.",
    ]
    stdin = io.TextIOWrapper(io.BytesIO(b"index,a,b,c,d\n0,5.1,3.5,1.4,0.2\n1,5.1,3.5,1.4,0.2\n"))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["predict", str(run.path), "-"]) == 2
    assert capsys.readouterr().err == (
        "dlexp: standard input: it has 5 columns (index, a, b, c, d), and the run takes 4.\n"
    )
    found = load_run(str(run.path)).predict(
        pd.DataFrame({"a": [1, 2], "b": [1, None], "c": [1, 2], "d": [510, 2]}, index=["one", "two"])
    )
    assert found.index.tolist() == ["one"]
    assert capsys.readouterr().err.splitlines() == [
        "1 sample is far outside what train had, as 510 in column 3 of one (0.1 to 2.5 in train): one.",
        "row two: column 1 (b): a value is missing.",
    ]


def test_tables_agree_whatever_their_form(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("dataset=iris", "epochs=20", "dataset.validation_fraction=0.2")
    Path("rows.csv").write_text("5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n")
    found = load_run(str(run.path)).predict("rows.csv", best=True)
    arguments = ["predict", str(run.path), "rows.csv", "--best", "threads=1"]
    assert main([*arguments, "--csv"]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(capsys.readouterr().out), index_col="row"), found)
    assert main([*arguments, "--json"]) == 0
    first, _ = json.loads(capsys.readouterr().out)
    assert first["row"] == 0 and first["prediction"] == found["prediction"][0]
    assert first["probabilities"] == found.iloc[0, 2:].to_dict()
    assert main([*arguments, "--parquet", "table.parquet"]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet("table.parquet"), found)
    capsys.readouterr()
    assert main([*arguments, "--parquet", "table.parquet"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*arguments, "--top", "2"]) == 0
    header, line, _ = capsys.readouterr().out.splitlines()
    second = found.iloc[0, 2:].astype(float).nlargest(2).index[1]
    assert header.split() == ["row", "prediction", "2."] and line.split()[1] == found["prediction"][0]
    assert line.split()[3] == second
    assert main([*arguments, "seed=1"]) == 2
    assert "seed=1: a run keeps its own" in capsys.readouterr().err


def test_no_dataset_has_to_be_there_but_an_older_run_needs_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(str(train("dataset=iris", "dataset.normalization=standard").path))
    expected = run.predict([5.1, 3.5, 1.4, 0.2])
    (run.path / "preprocessing.json").rename("kept.json")
    pd.testing.assert_frame_equal(run.predict([5.1, 3.5, 1.4, 0.2]), expected)

    def absent(*_: object) -> None:
        raise JobError("iris is not there.")

    monkeypatch.setattr("dlexp.data.preparation.prepare", absent)
    with pytest.raises(UserError, match=r"kept no preprocessing\.json.*iris is not there"):
        run.predict([5.1, 3.5, 1.4, 0.2])
    Path("kept.json").rename(run.path / "preprocessing.json")
    kept = run.directory.read_json("preprocessing.json")
    for key, value in (("dtype", "rubbish"), ("mean", [0.0]), ("maximum", [1.0, 2.0]), ("deviation", [0, 0, 0, 0])):
        run.directory.write_json("preprocessing.json", {**kept, key: value})
        with pytest.raises(UserError, match=r"preprocessing\.json is damaged"):
            run.predict([5.1, 3.5, 1.4, 0.2])
    run.directory.write_json("preprocessing.json", kept)
    pd.testing.assert_frame_equal(run.predict([5.1, 3.5, 1.4, 0.2]), expected)
