"""The command line: its verbs, the messages for mistakes, and the exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_runs import only_run, start, train

import dlexp
from dlexp.cli.main import main
from dlexp.cli.verbs import VERBS
from dlexp.config.registry import import_modules
from dlexp.runs.directory import RunDirectory
from dlexp.runs.provenance import origin

MISTAKES = {  # arguments of train: what the message must hold
    "epoch=3": "There is no key epoch. Did you mean epochs?",
    "lr=0.1": "Did you mean optimizer.lr?",
    "hidden_sizes=[3]": "Did you mean model.hidden_sizes?",
    "model.hiden_sizes=[3]": "There is no key model.hiden_sizes in model=mlp. Did you mean model.hidden_sizes?",
    "+model.widht=3": "There is no model.widht.",
    "+dataset.train_sise=3": "Did you mean train_size",
    "optimizer.momentum=0.9": "There is no key optimizer.momentum in optimizer=adam.",
    "model=mpl": "model=mpl: there is no such model. Did you mean mlp?",
    "dataset=null": "dataset=null: leave it out, or choose one of",
    "dataset=cifar": "Did you mean cifar10?",
    "experiment=dl_hw3/ex7": "Did you mean dl_hw3/ex07_iris",
    "optimizer.name=sgdd": "Did you mean sgd?",
    "optimizer.lr=fast": "optimizer.lr=fast must be a finite number.",
    "optimizer.lr=-1": "optimizer.lr=-1.0: must be above 0.",
    "optimizer.lr=nan": "optimizer.lr=nan must be a finite number.",
    "optimizer.betas=[0.9]": "must be two numbers",
    "epochs=-1": "epochs=-1: must be at least 0.",
    "seed=18446744073709551616": "must be at most",
    "threads=100000": "must be at most 1024",
    "imports=['']": "not the name of a module",
    "model=layers model.layers=[flatten,{output:3}]": "output takes no arguments",
    "model.batch_norm=true batch_size=1": "batch norm cannot compute the variance of one",
    "scheduler=one_cycle batch_size=full epochs=10 scheduler.pct_start=0.1": "lr has no step to rise in",
    "optimizer=adagrad optimizer.initial_accumulator_value=1e300": "must be within ±3.4e+38",
    "-m --config x": "cannot start from --config",
    "-m seed=interval(1,2)": "cannot be swept",
    "-m seed=range(1,2,0)": "cannot be swept",
    "-m seed=range(1,1000000000)": "gives more than 100,000 values",
    "-m seed=range(1000) batch_size=range(1,1000)": "That would be 999,000 jobs",
    "--dry-rnu": "Did you mean --dry-run?",
    "seed=${nope}": "seed: Interpolation key 'nope' not found",
    "seed=" + "[" * 99 + "]" * 99: "is nested too deeply",
    "epochs=" + "1" * 5000: "is not of the form key=value",
    "model.activation=" + "x" * 5000: "x…",
    "++dataset.augmentation.new=1": "There is no key dataset.augmentation.new",
    "@seed=1": "write key=value or group=option",
    "--config /dev/null": "is not the config of a run",
    "epochs=2.5": "epochs=2.5 must be an integer.",
    "epochs=true": "epochs=true must be an integer.",
    "epochs=": "must be an integer",
    "batch_size=half": "batch_size=half must be an integer or full.",
    "deterministic=1": "deterministic=1 must be true or false.",
    "precision=float16": "is not one of float32, float64, bfloat16",
    "device=gpu": "must be auto, cpu, cuda or cuda:N",
    "device=cuda:99": "CUDA devices here. Use device=cpu",
    "name=../x": "name=../x: must be a relative path",
    "model.dropout=1": "must be below 1",
    "model.activation=rleu": "there is no rleu. Did you mean relu?",
    "model.hidden_sizes=5": "must be a list, each an integer",
    "model.hidden_sizes=[a]": "model.hidden_sizes[0]=a must be an integer.",
    "early_stopping.patience=3": "set, for example, dataset.validation_fraction=0.1",
    "early_stopping.monitor=test/loss": "would choose a model by its test results",
    "dataset.test_to_train_ratio=null": "has no published split",
    "dataset.train_size=1000": "there are only 125 samples",
    "dataset.validation_fraction=0.01": "is impossible: ",
    "dataset.normalization=given": "dataset.mean is not set",
    "dataset.mean=1": "dataset.mean needs dataset.normalization=given",
    "loss=nll": "end the model in log_softmax, or take loss=cross_entropy",
    "model=cifar_cnn dataset=iris": "it needs images",
    "model=mnist_cnn dataset=digits loss=cross_entropy": "take loss=nll, or drop log_softmax",
    "model=layers model.layers=[flatten,output,softmax]": "drop the softmax",
    "model=layers model.layers=[{linear:5}]": "the dataset has 3 classes",
    "model=layers model.layers=[{linear:{size:5}}]": "The layer linear has no size.",
    "model=layers model.layers=[3]": "3 is neither a name nor one 'name: arguments'",
    "model.init=he_norm": "Did you mean he_normal",
    "model.init={uniform:[1,2,3]}": "uniform takes 2 values, not 3",
    "model.init={weight:{constant:x}}": "model.init.value=x must be a finite number",
    "model.init={bias:he_normal}": "there is no such model.init",
    "model.init={weight:{explicit:[[[1]]]}}": "layer 0 have shape (1, 1), the layer has (16, 4)",
    "batch_size=31 model.batch_norm=true": "leaves a batch of one sample of 125",
    "optimizer=sgd optimizer.nesterov=true": "needs optimizer.momentum above 0",
    "epochs=1,2": "run a sweep of them with `dlexp train -m`",
    "epochs=[": "'epochs=[' is not of the form key=value: a bracket is open",
    "epochs": "'epochs' is not of the form key=value: write epochs=….",
    "epochs 3": "'epochs' is not of the form key=value: write epochs=3.",
    "epochs = 3": "write epochs=3.",
    "epochs= 3": "write epochs=3, without spaces.",
    "epochs:3": "write epochs=3.",
    "--epochs 3": "A key of the config has no dashes: epochs=3.",
    "--epochs=3": "A key of the config has no dashes: epochs=3.",
    "optimizer.lr==0.1": "is not of the form key=value: write optimizer.lr=0.1, with one =.\n",
    "model.hidden_sizes=(3,4)": "write model.hidden_sizes=[3,4].",
    "optimizer.lr=0.1;": "put text in quotes",
    "dataset=MNIST": "Did you mean mnist?",
    "loss=mse_loss": "Did you mean mse?",
    "loss=BCELoss": "Did you mean binary_cross_entropy?",
    "optimizer=Adam": "Did you mean adam?",
    "scheduler=CosineAnnealingLR": "Did you mean cosine?",
    "learning_rate=0.1": "Did you mean optimizer.lr?",
    "optimizer.learning_rate=0.1": "Did you mean optimizer.lr?",
    "dataset.validation=0.1": "Did you mean dataset.validation_fraction?",
    "warmup_steps=3": "There is no key warmup_steps. Known: ",
    "imports=[__main__]": "put the code of a notebook or script into a file",
    "hydra.run.dir=x": "settings of Hydra itself cannot be changed",
    "imports=[nope]": "no module nope",
    "--config nope.yaml": "nope.yaml cannot be read",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_named_and_writes_no_run(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *arguments.split()]) == 2
    output, errors = capsys.readouterr()
    assert errors.startswith("dlexp: ") and MISTAKES[arguments] in errors
    assert "Traceback" not in errors and output == ""
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["trian"], 2, "Did you mean train?"),
        (["list", "modles"], 2, "Did you mean model"),
        (["data", "fetch", "mnits"], 2, "Did you mean mnist?"),
        (["data", "verify", "mnist"], 2, "Run `dlexp data fetch mnist`"),
        (["resume", "nowhere"], 2, "nowhere is not a run"),
        (["evaluate", "nowhere"], 2, "nowhere is not a run"),
        (["summary", "model=mpl"], 2, "Did you mean mlp?"),
    ],
)
def test_other_verbs_name_mistakes_too(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert message in capsys.readouterr().err


def test_help_starts_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.strip().startswith("dlexp train")
    for verb in VERBS:
        with pytest.raises(SystemExit) as end:
            main([verb, "--help"])
        assert end.value.code == 0
        assert capsys.readouterr().out.strip().startswith(f"dlexp {verb}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["list", "runs"],
        ["train", "epoch=3"],
        ["train", "optimizer.lr=x"],
        ["train", "model.activation=rleu"],
    ],
)
def test_torch_is_imported_only_to_train(arguments: list[str]) -> None:
    program = f"import sys; from dlexp.cli.main import main; main({arguments}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def test_list_shows_groups_options_and_runs(capsys: pytest.CaptureFixture[str]) -> None:
    run = train()
    for arguments, expected in (
        (["list"], "optimizer: adagrad, adam"),
        (["list", "models"], "cifar_cnn"),
        (["list", "experiments"], "dl_hw3/ex07_iris"),
        (["list", "runs"], str(run.path)),
        (["data", "list"], "not fetched"),
    ):
        assert main(arguments) == 0
        assert expected in capsys.readouterr().out


def test_summary_counts_layers_without_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "model=cifar_cnn"]) == 0
    output = capsys.readouterr().out
    assert "256 × 4 × 4" in output and "4,195,328" in output  # 4096 · 1024 + 1024
    assert main(["summary", "dataset=mnist", "model.hidden_sizes=[256,128]"]) == 0
    assert f"{784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10:,} parameters" in capsys.readouterr().out


def test_a_finished_run_is_evaluated_and_not_trained_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "epochs=3", "dataset.validation_fraction=0.2"]) == 0
    output = capsys.readouterr().out
    run = only_run()
    assert str(run.path) in output and "131 parameters" in output
    assert main(["evaluate", str(run.path)]) == 0
    accuracy = run.read_json("result.json")["final"]["test"]["accuracy"]
    assert f"{accuracy:.4f}" in capsys.readouterr().out
    assert main(["evaluate", str(run.path), "--best"]) == 0
    before = {file: file.stat().st_mtime_ns for file in run.path.rglob("*")}
    assert main(["resume", str(run.path)]) == 0
    assert "is finished" in capsys.readouterr().out
    assert before == {file: file.stat().st_mtime_ns for file in run.path.rglob("*")}


def test_a_saved_config_repeats_the_run() -> None:
    first = train("model.dropout=0.2", "epochs=3")
    assert main(["train", "--config", str(first.path / "config.yaml"), "name=again"]) == 0
    again = only_run(Path("outputs/again"))
    assert first.read_json("result.json")["final"] == again.read_json("result.json")["final"]
    hashes = [run.read_json("environment.json")["initial_weights_sha256"] for run in (first, again)]
    assert hashes[0] == hashes[1]


def test_a_config_that_is_handed_out_runs_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = dlexp.train(["data_dir=theirs", "output_dir=runs", "threads=3", "device=cpu", "name=exercise", "epochs=2"])
    file = str(run.path / "config.yaml")
    monkeypatch.setenv("DLEXP_DATA_DIR", str(Path("mine").absolute()))

    def of(run: RunDirectory) -> tuple[str, str, int]:
        return run.keys()["data_dir"], run.keys()["name"], run.read_json("environment.json")["threads"]

    here = torch.get_num_threads()
    assert main(["train", "--config", file]) == 0
    assert "has device=cpu threads=3, and this run takes them from here" in capsys.readouterr().err
    assert of(only_run(Path("outputs"))) == (str(Path("mine").absolute()), "exercise", here)
    assert main(["train", "--config", file, "threads=3", "device=cpu", "data_dir=typed", "output_dir=typed"]) == 0
    assert "takes them from here" not in capsys.readouterr().err
    assert of(only_run(Path("typed"))) == (str(Path("typed").absolute()), "exercise", 3)
    assert main(["evaluate", str(run.path), "data_dir=typed", "device=cuda:99"]) == 2
    assert "Use device=cpu" in capsys.readouterr().err
    assert main(["evaluate", str(run.path), "seed=3"]) == 2
    assert "seed=3: a run keeps its own; only" in capsys.readouterr().err
    assert dlexp.load_run(str(run.path)).config.data_dir == str(Path("mine").absolute())
    Path("theirs").mkdir(exist_ok=True)
    assert dlexp.load_run(str(run.path)).config.data_dir == str(Path("theirs").absolute())


def test_a_user_s_own_model_and_config_are_trained(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my_models.py").write_text(
        "from __future__ import annotations\nfrom torch import nn\n\n"
        "def wide(width: int = 8, *, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:\n"
        "    return nn.Sequential(nn.Linear(input_shape[0], width), nn.ReLU(), nn.Linear(width, num_classes))\n"
    )
    chosen = ["imports=[my_models]", "model=custom", "model.name=wide"]
    assert main(["train", "epochs=2", *chosen, "+model.width=5"]) == 0
    assert "43 parameters" in capsys.readouterr().out
    assert main(["resume", str(only_run().path), "epochs=3"]) == 0
    assert main(["train", *chosen, "+model.widht=5"]) == 2
    assert "There is no model.widht. Did you mean width?" in capsys.readouterr().err
    assert main(["train", *chosen, "model.width=5"]) == 2
    assert "If your builder takes it, write +model.width=5." in capsys.readouterr().err
    Path("my_models.py").write_text(Path("my_models.py").read_text().replace("(width, num_classes)", "(width, 7)"))
    assert main(["train", *chosen]) == 2
    assert "wide gets the number to give if it has a keyword-only parameter" in capsys.readouterr().err
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/narrow.yaml").write_text("name: mlp\nhidden_sizes: [2]\n")
    assert main(["summary", "model=narrow"]) == 0
    assert "19 parameters" in capsys.readouterr().out


def test_a_full_memory_and_a_deleted_folder_are_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("greedy.py").write_text(
        "import torch\n\nclass Greedy(torch.nn.Linear):\n    def forward(self, x):\n"
        "        return super().forward(x) + torch.ones(2**45).sum()\n\n"
        "def greedy(*, num_outputs):\n    return Greedy(4, num_outputs)\n"
    )
    for arguments in ("model.hidden_sizes=[4000000,4000000]", "imports=[greedy] model=custom model.name=greedy"):
        assert main(["train", *arguments.split()]) == 1
        assert capsys.readouterr().err.startswith("dlexp: The computer's memory is full: take a smaller batch_size")
    Path("gone").mkdir()
    monkeypatch.chdir("gone")
    Path.cwd().rmdir()
    for verb in (["list"], ["train"], ["report"]):
        assert main(verb) == 2
        assert "The working directory was deleted" in capsys.readouterr().err


def test_the_command_is_quiet_if_its_pipe_closes() -> None:
    process = start("list", "dataset")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 0


def test_environment_json_records_the_origin_of_a_run() -> None:
    environment = json.loads((train().path / "environment.json").read_text())
    for key in ("command", "torch", "device", "threads", "data_sha256", "split_sha256", "initial_weights_sha256"):
        assert environment[key], key


def test_environment_json_tells_the_commit_of_tracked_files_and_own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> tuple[object, object]:
        environment = origin(import_modules(["mine"]))
        return environment["git_commit"], environment["git_dirty"]

    def git(*arguments: str) -> str:
        by = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org"]
        return subprocess.run([*by, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(Path.cwd().parent))
    monkeypatch.syspath_prepend(Path.cwd())
    Path("mine.py").write_text("X = 1\n")
    assert found() == (None, None), "no repository"
    git("init")
    git("add", "mine.py")
    git("commit", "-m", "one")
    Path("outputs").mkdir()
    Path("outputs/run").write_text("untracked")
    assert found() == (commit := git("rev-parse", "HEAD"), False)
    Path("others.py").write_text("X = 1\n")
    assert found() == (commit, False), "nobody imports it"
    Path("mine.py").write_text("import others\n")
    git("commit", "-am", "two")
    assert found() == (git("rev-parse", "HEAD"), True), "the commit lacks others.py"
    git("add", "others.py")
    git("commit", "-am", "three")
    assert found()[1] is False
    Path("mine.py").write_text("X = 2\n")
    assert found()[1] is True
    monkeypatch.setenv("PATH", "")
    assert found() == (None, None), "git is not installed"


@pytest.mark.parametrize("how", ["own", "brought", "installed"])
def test_a_run_imports_the_user_s_own_modules_and_none_beside_its_config(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.py").write_text(
        "import torch\n\ndef wide(*, input_shape, num_outputs):\n    return torch.nn.Linear(4, num_outputs)\n"
    )
    command = ["train", "imports=[mine]", "model=custom", "model.name=wide", "epochs=2", "stop_at=1"]
    assert main(command) == 0
    (run,) = Path("outputs").glob("*/*")
    Path("installed").mkdir()
    path = Path("mine.py").rename(Path({"own": ".", "brought": str(run), "installed": "installed"}[how], "mine.py"))
    monkeypatch.syspath_prepend(path.parent.absolute())
    code = main(["resume", str(run)])
    assert code == (0 if how == "own" else 2)
    assert how == "own" or "which is not your module" in capsys.readouterr().err
    if how == "installed":
        assert main(["resume", str(run), "imports=[mine]"]) == 0
