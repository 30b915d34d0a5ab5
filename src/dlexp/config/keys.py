"""What each key of a config decides: the one table that sweeps, resume, compare and provenance read."""

from typing import Literal

Role = Literal["identity", "resumable", "observation", "place"]

# Keys at the top level; what lies below one ('optimizer.lr') has its role. A key of tomorrow's goes here first.
KEYS: dict[Role, tuple[str, ...]] = {
    # What decides the bits. Another value makes another job, another experiment, a difference to be compared.
    "identity": (
        *("dataset", "model", "optimizer", "scheduler", "loss", "regularizer", "identity", "demonstration"),
        *("batch_size", "shuffle", "seed", "precision", "deterministic", "early_stopping"),
    ),
    # How far a run goes: a longer one has the same bits as far as both went.
    "resumable": ("epochs", "stop_at"),
    # What is written down on the way, and how often.
    "observation": (
        *(
            "metrics",
            "diagnostics",
            "sinks",
            "log_every_n_steps",
            "evaluate_every_n_steps",
            "log_gradients",
            "log_units",
        ),
        *("trace_steps", "notation", "milestones", "reference", "checkpoint", "predict"),
    ),
    # Where a run works, and what it is called. The code of `imports` counts through its own hash.
    "place": ("name", "device", "threads", "feature_store", "jobs", "data_dir", "output_dir", "imports"),
}
# Keys whose values are text, or lists of text, also if one looks like a number: name=1.10.
TEXT = (
    *("name", "device", "data_dir", "output_dir", "imports", "early_stopping.monitor", "scheduler.monitor"),
    *("dataset.positive_class", "dataset.class_names", "model.architecture", "model.weights", "model.init_from"),
    *("demonstration.architecture", "demonstration.weights", "demonstration.picture", "demonstration.pictures"),
)
_ROLES: dict[str, Role] = {key: role for role, keys in KEYS.items() for key in keys}


def role(key: str) -> Role:
    """Return the role of a key, dotted or not; a key that no version has declared may decide the bits."""
    return _ROLES.get(key.partition(".")[0], "identity")


def makes_a_job(key: str) -> bool:
    """Whether another value of the key asks for another job: under another name, or with other code, it is one too."""
    return role(key) in ("identity", "resumable") or key in ("name", "imports")


def may_change(key: str) -> bool:
    """Whether a run that goes on may have another value of the key and stay the same experiment."""
    return role(key) != "identity"


def is_of_the_machine(key: str) -> bool:
    """Whether the key comes from where a run works, even if a saved config has another value of it."""
    return role(key) == "place" and key not in ("name", "imports")


def makes_a_difference(key: str) -> bool:
    """Whether finished runs with other values of the key differ in what they are; their `stop_at` says nothing."""
    return role(key) == "identity" or key == "epochs"
