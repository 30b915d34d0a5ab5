"""Hydra's launchers and sweepers, for jobs beyond one machine (SLURM by submitit) and for a study by Optuna.

They are extras (`pip install dlexp[launchers]`, `dlexp[optuna]`), and run the same jobs into the same run directories.
"""

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlexp.components import metrics
from dlexp.config.composition import Choices, initialized, search_path
from dlexp.config.config import Config, load_config
from dlexp.config.overrides import parse_last, text
from dlexp.config.registry import import_modules
from dlexp.data import preparation
from dlexp.errors import JobError, UserError
from dlexp.runs.directory import RunDirectory
from dlexp.sweep.jobs import Task, job_key
from dlexp.sweep.messages import Ended, Train
from dlexp.sweep.worker import Draw, work
from dlexp.training.build import check

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher
    from hydra.plugins.sweeper import Sweeper


EXTRAS = {"optuna": "optuna"} | dict.fromkeys(("joblib", "submitit_local", "submitit_slurm"), "launchers")


class Work:
    """Runs one job in a process of the launcher; picklable."""

    def __init__(self, orders: dict[tuple[str, ...], Train], draw: Draw):
        self._orders, self._draw = orders, draw

    def __call__(self, config: DictConfig) -> Ended:
        """Train the job of the overrides that Hydra gave to this process."""
        started = time.monotonic()
        answer = work(self._orders[tuple(HydraConfig.get().overrides.task)], self._draw)
        return replace(answer, seconds=time.monotonic() - started)


class Trial:
    """Trains one trial of a study, and returns its objective: its best value on the validation split."""

    def __init__(self, draw: Draw):
        self._draw = draw
        self._choices: Choices = {}

    def __call__(self, config: DictConfig) -> float:
        """Raise JobError if the trial failed; the study then counts it as failed."""
        overrides = tuple(HydraConfig.get().overrides.task)
        checked = check(load_config(overrides, choices=self._choices))
        answer = work(Task(overrides, checked, job_key(checked, {})).order(), self._draw)
        if answer.status != "finished" or answer.run is None:
            raise JobError(answer.message or answer.status)
        selected = RunDirectory(Path(answer.run)).read_json("result.json")["selected"]
        return float(selected[checked.early_stopping.monitor])


def launch(todo: Sequence[Task], hydra_overrides: Sequence[str], draw: Draw, *, fresh: bool) -> dict[str, Ended]:
    """Run the tasks by the launcher in `hydra_overrides`; return each task's answer, as `supervise` does."""
    task_function = Work({task.overrides: task.order(fresh=fresh) for task in todo}, draw)
    folder = Path(todo[0].config.output_dir) / ".hydra"
    with _composed(hydra_overrides, folder) as (config, context):
        launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config
        )
        try:
            returns = launcher.launch([list(task.overrides) for task in todo], initial_job_idx=0)
        except RuntimeError as error:  # submitit's without SLURM; an error of a job is in what it returns
            raise UserError(f"{' '.join(hydra_overrides)} cannot start jobs: {error}") from error
    return {task.key: each.return_value for task, each in zip(todo, returns, strict=True)}


def study(overrides: Sequence[str], hydra_overrides: Sequence[str], draw: Draw) -> None:
    """Search the best values of the keys that `overrides` leave open, by the sweeper in `hydra_overrides`.

    Keeps the study in `<output_dir>/<name>/study.db` and continues it if it is run again. Raises UserError without a
    validation split, because a test split that chooses trials cannot judge them fairly.
    """
    parsed = parse_last(overrides)
    config = check(load_config([text(override) for override in parsed if not override.is_sweep_override()]))
    if config.dataset.preparation.validation_fraction == 0:
        raise UserError("A study chooses by the validation split: set, for example, dataset.validation_fraction=0.1.")
    monitor = config.early_stopping.monitor
    swept = [each.key_or_group for each in parsed if each.is_sweep_override()]
    if monitor.endswith("/loss") and any(key.partition(".")[0] == "loss" for key in swept):
        raise UserError(
            f"A study cannot choose among losses by {monitor}, since each has its own unit: set, for example, "
            "early_stopping.monitor=validation/accuracy."
        )
    folder = Path(config.output_dir) / config.name
    folder.mkdir(parents=True, exist_ok=True)
    direction = "maximize" if _is_higher_better(config) else "minimize"
    storage = f"sqlite:///{folder.absolute()}/study.db"
    kept = [f"hydra.sweeper.storage='{storage}'", f"hydra.sweeper.study_name='{folder.name}'"]
    with _composed([*kept, f"hydra.sweeper.direction={direction}", *hydra_overrides], folder / ".hydra") as composed:
        sweeper: Sweeper = Plugins.instance().instantiate_sweeper(
            config=composed[0], hydra_context=composed[1], task_function=Trial(draw)
        )
        sweeper.sweep(arguments=[text(override) for override in parsed])
    _tell_best(storage, folder.name, monitor)


def _is_higher_better(config: Config) -> bool:
    name, imports = config.early_stopping.monitor.partition("/")[2], import_modules(config.imports)
    kind = preparation.source_of(config.dataset, imports).kind
    chosen = metrics.build(config.metrics, kind, imports)
    return name in chosen and chosen[name].higher_is_better


def _tell_best(storage: str, name: str, monitor: str) -> None:
    import optuna

    found = optuna.load_study(study_name=name, storage=storage)
    chosen = " ".join(f"{key}={value}" for key, value in found.best_params.items())
    print(f"Best of {len(found.trials)} trials: {chosen}, {monitor} {found.best_value:.4g}.")


def _refuse_code(settings: DictConfig) -> None:
    """Raise UserError if a config names code for Hydra to run, other than its plugins and Optuna's samplers."""
    if settings.callbacks or settings.job.env_set:
        raise UserError("hydra.callbacks and hydra.job.env_set: a config cannot name code to be run.")
    chosen = OmegaConf.to_container(OmegaConf.create([settings.launcher, settings.sweeper]), resolve=False)
    waiting: list[Any] = [chosen]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            target = str(value.get("_target_", "optuna.samplers."))
            if value.get("custom_search_space") or not target.startswith(
                ("hydra_plugins.", "hydra._internal.core_plugins.", "optuna.samplers.")
            ):
                raise UserError(f"{target}: a config cannot name code to be run.")
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


@contextlib.contextmanager
def _composed(overrides: Sequence[str], folder: Path) -> Iterator[tuple[DictConfig, HydraContext]]:
    """Yield the config and the context that Hydra's plugins need; the plugins' own files go to `folder`."""
    own = [f"hydra.sweep.dir='{folder}'", "hydra.sweep.subdir=${hydra.job.num}", "hydra.output_subdir=null"]
    own += ["hydra.mode=MULTIRUN", "hydra/job_logging=none", "hydra/hydra_logging=none"]
    try:
        with initialized():
            instance = GlobalHydra.instance().hydra
            assert instance is not None
            config = instance.compose_config(
                config_name="config",
                overrides=[*own, *search_path(), *overrides],
                run_mode=RunMode.MULTIRUN,
                with_log_configuration=False,
            )
            _refuse_code(config.hydra)
            yield config, HydraContext(config_loader=instance.config_loader, callbacks=Callbacks())
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_missing(str(error))) from error


def _missing(said: str) -> str:
    found = re.match(r".*Could not find '(hydra/\w+)/(\w+)'", said)
    if found and found[2] in EXTRAS:
        return (
            f"{found[1]}={found[2]} is not installed: pip install 'dlexp[{EXTRAS[found[2]]}]', "
            f"or '.[{EXTRAS[found[2]]}]' in a copy of dlexp."
        )
    return f"Hydra's plugin cannot be used: {said.splitlines()[0]}"
