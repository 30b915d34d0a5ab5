"""Configs that name code: `_target_` wherever one can be written, modules that a run directory brings, YAML's tags."""

from collections.abc import Callable
from pathlib import Path

from robustness.hostile import PWNED, READ, RUN, Attack, both, configured, edited, write

TOUCH = f"touch {PWNED}"
TARGET = f"_target_: os.system\n_args_: ['{TOUCH}']\n"
SWEEP = ["train", "-m", "seed=1,2", "epochs=1"]
JOBLIB = [*SWEEP, "hydra/launcher=joblib", "hydra.launcher.n_jobs=1", "experiment=evil"]
STUDY = [
    *("train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "hydra.sweeper.n_jobs=1", "epochs=1"),
    *("optimizer.lr=interval(0.001,0.1)", "dataset.validation_fraction=0.2"),
]


def attacks() -> list[Attack]:
    """Return those on the command line, in ./conf, in a saved config, and in a run directory."""
    return [*on_the_command_line(), *in_conf(), *in_a_saved_config()]


def on_the_command_line() -> list[Attack]:
    single = [
        *("+model._target_=os.system", "+x._target_=os.system", "optimizer._target_=os.system"),
        *("+dataset._target_=os.system", "++loss={_target_:os.system}", "model=os.system", "model=../../x"),
        *("model.activation={_target_:os.system}", "dataset.targets=[{_target_:os.system}]"),
        *("hydra.callbacks.x._target_=os.system", "+hydra.callbacks.x._target_=os.system", "hydra/launcher=basic"),
        *("hydra.searchpath=[file://../outside]", "hydra.run.dir=../outside/pwned", "hydra.job.chdir=true"),
        *("++hydra.job.env_set.LD_PRELOAD=x", "hydra.output_subdir=../../outside", "hydra/hydra_logging=x"),
        *("imports=[os] model=custom model.name=system", "imports=[../outside/x]", "imports=[subprocess]"),
    ]
    many = [
        *("hydra.launcher._target_=os.system", "hydra/launcher=joblib +hydra.launcher.x._target_=os.system"),
        *("hydra/sweeper=optuna hydra.sweeper.sampler._target_=os.system", "hydra.callbacks.x._target_=os.system"),
        *("hydra.sweep.dir=../outside/pwned", "hydra/launcher=../../../outside/x", "hydra/sweeper=os.system"),
    ]
    return [
        *(Attack(f"typed: {each}", (["train", *each.split()],)) for each in single),
        *(Attack(f"typed: -m {each}", ([*SWEEP, *each.split()],)) for each in many),
    ]


def in_conf() -> list[Attack]:
    mlp = "name: mlp\nhidden_sizes: [8]\n"
    files: dict[str, tuple[str, str, list[str]]] = {
        "_target_ in a model": ("model/evil.yaml", mlp + TARGET, ["train", "model=evil"]),
        "_target_ in a value": (
            "model/evil.yaml", "name: mlp\nactivation: {_target_: os.system}\n", ["train", "model=evil"]),
        "_target_ in an experiment": (
            "experiment/evil.yaml", f"# @package _global_\nmodel:\n  _target_: os.system\n  x: {TOUCH}\n",
            ["train", "experiment=evil"]),
        "_target_ in a defaults list": (
            "experiment/evil.yaml", "# @package _global_\ndefaults:\n  - /model: {_target_: os.system}\n",
            ["train", "experiment=evil"]),
        "a tag that calls": ("model/evil.yaml", f"name: !!python/object/apply:os.system ['{TOUCH}']\n",
                             ["train", "model=evil"]),
        "a tag that makes an object": ("model/evil.yaml", "name: !!python/object/new:os.system ['x']\n",
                                       ["train", "model=evil"]),
        "a resolver that evaluates": ("model/evil.yaml", "name: ${python:__import__('os')}\n", ["train", "model=evil"]),
        "a mapping from a text": (
            "model/evil.yaml", 'name: mlp\nactivation: "${oc.create:\'{_target_: os.system}\'}"\n',
            ["train", "model=evil"]),
        "Python's own function as a model": (
            "experiment/evil.yaml", f"# @package _global_\nimports: [os]\nmodel: {{name: system, command: {TOUCH}}}\n"
            "defaults: [{override /model: custom}]\n", ["train", "experiment=evil"]),
        "a launcher of its own": ("hydra/launcher/evil.yaml", TARGET, [*SWEEP, "hydra/launcher=evil"]),
        "a launcher with an object inside": (
            "hydra/launcher/evil.yaml", "_target_: hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher\n"
            f"n_jobs: 1\nbackend: {{_target_: os.system, command: {TOUCH}}}\n", [*SWEEP, "hydra/launcher=evil"]),
        "a sweeper of its own": ("hydra/sweeper/evil.yaml", TARGET, [*STUDY, "hydra/sweeper=evil"]),
        "a sweeper's sampler": (
            "experiment/evil.yaml", "# @package _global_\nhydra:\n  sweeper:\n    sampler:\n      _target_: os.system\n"
            f"      command: {TOUCH}\n", [*STUDY, "experiment=evil"]),
        "a sweeper's search space": (
            "experiment/evil.yaml", "# @package _global_\nhydra:\n  sweeper:\n    custom_search_space: os.system\n",
            [*STUDY, "experiment=evil"]),
        "callbacks in an experiment": (
            "experiment/evil.yaml", f"# @package _global_\nhydra:\n  callbacks:\n    x:\n      _target_: os.system\n"
            f"      command: {TOUCH}\n", JOBLIB),
        "the environment of jobs": (
            "experiment/evil.yaml", "# @package _global_\nhydra:\n  job:\n    env_set: {PYTHONPATH: ../outside}\n",
            JOBLIB),
        "a grid with Hydra's own keys": (
            "experiment/evil.yaml", "# @package _global_\nhydra:\n  sweeper:\n    params:\n"
            "      hydra.callbacks.x._target_: os.system\n", [*SWEEP, "experiment=evil"]),
        "a grid over another folder": (
            "experiment/evil.yaml", "# @package _global_\nhydra:\n  sweeper:\n    params:\n"
            "      name: ../../outside/a,../../outside/b\n", ["train", "-m", "experiment=evil"]),
    }  # fmt: skip
    return [
        # What an experiment says of Hydra, other than its grid, no launcher hears of.
        Attack(f"conf: {what}", (command,), write(f"conf/{path}", text), codes=(0, 2) if command is JOBLIB else (2,))
        for what, (path, text, command) in files.items()
    ]


def imported(name: str, module: str) -> Callable[[Path], object]:
    """Return what makes the run's config import a module, and puts that there."""

    def lay_out(work: Path) -> None:
        write(module, f"open({str(work.parent / 'outside' / 'pwned')!r}, 'w')\n")(work)

    return both(configured(imports=[name]), lay_out)


def in_a_saved_config() -> list[Attack]:
    config = f"{RUN}/config.yaml"
    going_on = (["resume", RUN], ["evaluate", RUN], ["train", "--config", config])
    from_inside = (["resume", "."], ["evaluate", "."], ["train", "--config", "config.yaml"])
    system = configured(imports=["os"], model={"name": "system", "command": TOUCH})
    called = configured(imports=["subprocess"], model={"name": "getoutput", "cmd": TOUCH})
    evaluated = configured(
        imports=["pandas"], model={"name": "eval", "expr": f'@pd.io.common.os.system("{TOUCH}")', "engine": "python"}
    )
    instantiated = configured(
        imports=["hydra.utils"], model={"name": "call", "config": {"_target_": "os.system", "command": TOUCH}}
    )
    tag = edited("config.yaml", "name: mlp", f"name: !!python/object/apply:os.system ['{TOUCH}']")
    target = configured(model={"_target_": "os.system", "command": TOUCH})
    return [
        Attack("run: os.system as the model", going_on, system),
        Attack("run: subprocess.getoutput as the model", going_on, called),
        Attack("run: an installed package's function as the model", going_on, evaluated),
        Attack("run: hydra's call as the model", going_on, instantiated),
        Attack("run: _target_ in its config", going_on, target),
        Attack("run: a tag that calls", going_on, tag),
        Attack("run: a module that it brings", going_on, imported("outputs.iris_mlp.it.evil", f"{RUN}/evil.py")),
        Attack("run: a module of its study", going_on, imported("outputs.iris_mlp.evil", "outputs/iris_mlp/evil.py")),
        Attack("run: a module beside its config", from_inside, imported("evil", f"{RUN}/evil.py"), folder=RUN),
        Attack("run: a package beside it", from_inside, imported("evil", f"{RUN}/evil/__init__.py"), folder=RUN),
        Attack("run: a module of Python's that does something", going_on, configured(imports=["antigravity"])),
        Attack("run: a module, when runs are read", READ, imported("evil", "evil.py"), codes=(0, 2)),
        Attack("run: _target_, when runs are read", READ, target, codes=(0, 2)),
        Attack("run: a tag, when runs are read", READ, tag, codes=(0, 2)),
    ]
