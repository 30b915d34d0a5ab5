"""The training loop: config → build → train → run directory. All steps of an epoch are visible here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.config.config import Config
from dlexp.config.lazy import torch
from dlexp.config.registry import import_modules
from dlexp.data.batches import shuffled
from dlexp.demonstrations.demonstrate import demonstrate
from dlexp.runs.directory import METRICS, PREPROCESSING, RunDirectory
from dlexp.runs.provenance import config_hashes, environment
from dlexp.training import diagnostics
from dlexp.training.build import build
from dlexp.training.evaluation import evaluate_held_out
from dlexp.training.features import use_features
from dlexp.training.process.progress import Display, on_terminal
from dlexp.training.process.signals import StopRequest
from dlexp.training.results import forget_peak_memory, write_results
from dlexp.training.resume import check_provenance, kept_config
from dlexp.training.session import Session
from dlexp.training.setup.ineffective import ineffective

if TYPE_CHECKING:
    from torch import Tensor


def work_of(config: Config) -> Callable[[Config], RunDirectory]:
    """Return the function that runs a config: `train`, or `demonstrate` for a demonstration."""
    return demonstrate if config.is_demonstration else train


def train(
    config: Config,
    run: RunDirectory | None = None,
    *,
    command: Sequence[str] | None = None,
    display: Display | None = None,
) -> RunDirectory:
    """Train a checked `config` until it is finished, stopped or failed; return the run directory.

    With `run`, go on from its newest checkpoint to the same bits as if it had never stopped. At the end its status.json
    has the status `finished`, or `stopped` (after `stop_at`, or by the signal it names).
    environment.json records `command`, by default this process's own; `display` shows how far the job is.
    Raises UserError before the first step if the config does not fit, JobError if the job cannot go on.
    """
    # --- Everything is built and checked before a directory is made.
    job = build(config, begun=run is not None and bool(run.checkpoints()))
    config, optimizer, schedule, batches = job.config, job.optimizer, job.schedule, job.batches
    provenance, display = environment(config, job.device, job.hashes, command), display or on_terminal()
    kept = kept_config(config, run) if run else config.to_mapping()
    if run is not None:
        for difference in check_provenance(job, run):
            display.warn(f"Resumable, not bit-exact: {difference}.")
    train_size, steps_per_epoch = batches.size("train"), job.steps_per_epoch
    last_epoch, in_own_order = min(config.epochs, config.stop_at or config.epochs), steps_per_epoch == 1
    in_own_order = in_own_order or not config.shuffle
    imports = import_modules(config.imports)
    forget_peak_memory(job.device)
    stop, watching = StopRequest(), diagnostics.build(config, imports)

    with (
        stop,  # from here on a signal is a request
        (run or RunDirectory.create(Path(config.output_dir), config.name)).locked() as run,
        Session(job, run, config_hashes(kept), watching).recorded() as session,
        display.begin(run, config.epochs, steps_per_epoch, session.progress.step),
    ):
        progress, totals = session.progress, session.totals
        watch = LossWatch(session)
        for warning in [*ineffective(config, imports), *job.notes, *session.warnings]:
            display.warn(warning)
        if progress.step == 0:
            run.write_json("environment.json", provenance)
            run.write_json(PREPROCESSING, job.preprocessing.to_mapping())
        # config.yaml comes last: with it the directory is a run that can be resumed.
        run.write_config(kept)
        run.write_status("running", **session.whereabouts())
        use_features(job, stop)
        session.begin_diagnostics()

        while progress.epoch < last_epoch and not out_of_patience(session) and not stop():
            # --- The steps of an epoch, or the rest of them after a resume.
            job.freezing.begin_epoch(progress.epoch)
            started = time.perf_counter()
            order = None if in_own_order else shuffled(train_size, config.seed, progress.epoch, job.device)
            for inputs, targets in batches.serve_train(job.batch_size, order, progress.position):
                stepped = job.step(inputs, targets)
                watch.check(stepped.objective)
                progress.lr = optimizer.param_groups[0]["lr"]
                optimizer.step()
                if schedule.interval == "step":
                    schedule.scheduler.step()

                # A step's results stay on the device until they are read.
                totals.add(progress.position, stepped, targets)
                progress.position += 1
                progress.step += 1
                display.step(progress.step)
                progress.epoch_seconds += time.perf_counter() - started
                session.diagnose_step(inputs, targets, stepped)
                started = time.perf_counter()
                if stop():
                    break
                session.save_if_due()
            watch.check_last()

            # --- The epoch's metrics on train, validation and test. A signal may come between any two batches.
            metrics: dict[str, float] = {}
            if progress.position == steps_per_epoch:
                metrics = evaluate_held_out(job, stop)
            if stop():
                break
            metrics |= totals.metrics()
            seconds = progress.epoch_seconds
            row = {"epoch": progress.epoch + 1, "step": progress.step, **metrics, "lr": progress.lr}
            row |= {"seconds": round(seconds, 6), "samples_per_second": round(train_size / seconds, 1)}
            session.write(METRICS, [row])
            session.diagnose_epoch()

            # --- These metrics decide the learning rate and the best weights; then a checkpoint may be due.
            if schedule.interval == "epoch" and schedule.scheduler is not None:
                schedule.scheduler.step()
            elif schedule.interval == "metric":
                schedule.scheduler.step(metrics[schedule.monitor or usual_monitor(metrics)])
            note_best(session, metrics)
            progress.epoch, progress.position = progress.epoch + 1, 0
            progress.epoch_seconds, progress.training_seconds = 0.0, progress.training_seconds + seconds
            display.epoch(progress.epoch, metrics)
            every = config.checkpoint.every_epochs
            if every and progress.epoch % every == 0:
                session.save()

        # --- Stopped or done: save everything; after a signal do no more than that.
        session.save()
        finished = progress.epoch >= config.epochs or out_of_patience(session)
        facts = session.whereabouts()
        if not stop():
            write_results(session, stop, finished=finished)
        if stop():
            run.write_status("stopped", signal=stop.signal, **facts)
        else:
            run.write_status("finished" if finished else "stopped", **facts)
    return run


def usual_monitor(metrics: dict[str, float]) -> str:
    """Return the default monitor of a schedule: the validation loss, or without validation the train loss."""
    return "validation/loss" if "validation/loss" in metrics else "train/loss"


def note_best(session: Session, metrics: dict[str, float]) -> None:
    """Keep a copy of the weights if the monitored validation metric is the best so far."""
    monitor, progress = session.job.config.early_stopping.monitor, session.progress
    if monitor not in metrics:
        return  # without a validation split there is no best epoch
    value, best = metrics[monitor], progress.best_value
    higher = session.job.higher_is_better(monitor)
    if math.isfinite(value) and (best is None or (value > best if higher else value < best)):
        progress.best_value, progress.best_epoch = value, progress.epoch + 1
        progress.epochs_without_improvement = 0
        session.best_weights = {name: t.detach().cpu().clone() for name, t in session.job.model.state_dict().items()}
    else:
        progress.epochs_without_improvement += 1


def out_of_patience(session: Session) -> bool:
    """Return whether early stopping is on and its patience is used up."""
    patience = session.job.config.early_stopping.patience
    return patience is not None and session.progress.epochs_without_improvement >= patience


class LossWatch:
    """Stops a job within one step of a loss that is not finite, without making a GPU wait.

    On the CPU it checks the loss before the weights change; on CUDA it copies the loss in the background and checks it
    one step later, when the next step is queued already.
    """

    def __init__(self, session: Session):
        self._session = session
        self._copy: Tensor | None = None
        if session.job.device.type == "cuda":
            self._copy = torch.zeros(1, dtype=session.job.dtype, pin_memory=True)
            self._copied = torch.cuda.Event()

    def check(self, loss: Tensor) -> None:
        """Check this step's loss, or on CUDA the previous step's. Raises JobError if it is not finite."""
        if self._copy is None:
            self._session.check_finite(loss.item())
            return
        self.check_last()
        self._copy.copy_(loss.detach(), non_blocking=True)
        self._copied.record()

    def check_last(self) -> None:
        """Wait for the loss that was copied last, and check it. Raises JobError if it is not finite."""
        if self._copy is not None:
            self._copied.synchronize()
            self._session.check_finite(self._copy.item())
