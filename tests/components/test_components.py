"""The same tests run for every registered component, so that a new one is covered when it is registered."""

import inspect
from pathlib import Path

import pytest
import torch
import yaml
from small_runs import PRETRAINED, SMALL_CNN, assert_same_end, resume, train

from dlexp.components.losses import LOSSES
from dlexp.components.metrics import METRICS, OFFERED
from dlexp.config import schema
from dlexp.config.component import LATER, Component, Dataset, Preparation
from dlexp.config.composition import compose, options, shipped_configs
from dlexp.config.config import load_config
from dlexp.config.schema import configurable
from dlexp.data import preparation as data
from dlexp.data.datasets import DATASETS
from dlexp.models.layers import LAYERS
from dlexp.training.build import REGISTRIES, build, check
from dlexp.training.diagnostics import DIAGNOSTICS
from dlexp.training.setup.job import Job
from dlexp.training.sinks import SINKS

EMBEDDED = [name for name, builder in DATASETS.builders.items() if builder().embedded]
COMPONENTS = [(group, name) for group, registry in REGISTRIES.items() for name in registry.builders]
TRAINED = [(group, name) for group, name in COMPONENTS if group != "demonstration"]  # the rest has its own tests
CHOICES = {  # the other choices that a component needs
    ("loss", "nll"): ["model=layers", "model.layers=[{linear: 8}, activation, output, log_softmax]"],
    ("loss", "binary_cross_entropy"): ["dataset=breast_cancer"],
    ("loss", "output_matching"): ["experiment=dl_hw3/ex03_max_pooling"],
    ("model", "layers"): ["dataset=digits", *SMALL_CNN],
    ("model", "pretrained"): PRETRAINED,
    ("optimizer", "sgd"): ["optimizer.momentum=0.9"],
}


def job_with(group: str, name: str, *overrides: str) -> Job:
    return build(check(load_config([f"{group}={name}", *CHOICES.get((group, name), []), *overrides])))


@pytest.mark.parametrize(("group", "name"), COMPONENTS)
def test_the_yaml_of_a_component_states_the_defaults_of_its_builder(group: str, name: str) -> None:
    content = yaml.safe_load(options(group)[name].read_text())
    content = content.get(group, content)  # a model may set keys of other groups
    assert content.pop("name") == name
    content = {key: value for key, value in content.items() if key not in LATER.get(group, ())}
    parameters = configurable(REGISTRIES[group].builders[name])
    assert content.keys() == parameters.keys()
    bound = REGISTRIES[group].bind(Component(name, content)).options
    for key, parameter in parameters.items():
        assert parameter.default in (parameter.empty, bound[key]), key


@pytest.mark.parametrize(("group", "name"), TRAINED)
def test_a_component_trains_and_resumes_to_the_same_end(group: str, name: str) -> None:
    overrides = [f"{group}={name}", *CHOICES.get((group, name), []), "batch_size=32", "epochs=3", "trace_steps=0"]
    whole = train(*overrides, "name=whole")
    stopped = train(*overrides, "stop_at=1", "name=stopped")
    assert_same_end(whole, resume(stopped))
    losses = [row["train/loss"] for row in whole.read_table("metrics.csv")]
    assert len(set(losses)) == 3, "the weights did not change"


@pytest.mark.parametrize(("group", "name"), [c for c in COMPONENTS if c[0] in ("model", "optimizer", "loss")])
def test_a_component_overfits_a_batch(group: str, name: str) -> None:
    overrides = ["batch_size=full", "dataset.normalization=standard", "deterministic=false"]
    if name != "output_matching":  # which has only two samples
        overrides.append("dataset.train_size=12")
    if group != "optimizer":
        overrides.append("optimizer.lr=0.02")
    if name == "pretrained":  # the features of random weights tell nothing apart
        overrides += ["model.freeze=null", "optimizer.lr=0.002"]
    job = job_with(group, name, *overrides)
    ((inputs, targets),) = job.batches.serve("train", 12)
    (metric,) = job.metrics.values()

    def is_learnt() -> bool:
        with torch.no_grad():
            measured = metric(job.model.eval()(inputs), targets)
        return measured == 1 if metric.higher_is_better else measured < 1e-3

    for step in range(600):
        loss = job.loss.function(job.model.train()(inputs), targets)
        job.optimizer.zero_grad()
        loss.backward()
        job.optimizer.step()
        if step % 20 == 19 and is_learnt():
            break
    assert is_learnt()


@pytest.mark.parametrize("name", LOSSES.builders)
def test_a_loss_is_not_computed_in_bfloat16(name: str) -> None:
    job = job_with("loss", name, "precision=bfloat16", "batch_size=full", "log_every_n_steps=1", "trace_steps=0")
    ((inputs, targets),) = job.batches.serve("train", 10**6)
    stepped = job.step(inputs, targets)
    assert stepped.outputs.dtype == stepped.loss.dtype == torch.float32
    assert stepped.loss == job.loss.function(stepped.outputs, targets)
    assert stepped.loss == pytest.approx(job.loss.function(stepped.outputs.double(), targets).item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["classes", "values", "nothing"])
def test_every_metric_diagnostic_and_sink_survives_resume(kind: str) -> None:
    data = {
        "classes": [],
        "values": ["dataset=diabetes", "loss=mse"],
        "nothing": CHOICES["loss", "output_matching"],
    }
    metrics = [name for name, builder in METRICS.builders.items() if builder().needs in OFFERED[kind]]
    overrides = [
        *data[kind],
        f"metrics={metrics}",
        f"diagnostics={[*DIAGNOSTICS.builders]}",
        f"sinks={[*SINKS.builders]}",
        *("batch_size=32", "epochs=3", "trace_steps=0"),
    ]
    whole = train(*overrides, "name=whole")
    stopped = train(*overrides, "stop_at=1", "name=stopped")
    assert_same_end(whole, resume(stopped))
    assert {f"{split}/{name}" for split in ("train", "test") for name in metrics} <= whole.read_table("metrics.csv")[
        0
    ].keys()


@pytest.mark.parametrize("name", DATASETS.builders)
def test_a_dataset_states_its_facts_and_its_yaml_its_defaults(name: str) -> None:
    content = yaml.safe_load(options("dataset")[name].read_text())
    content = content.get("dataset", content)  # a dataset may also set a batch size for its few samples
    own, common = configurable(DATASETS.find(name)), configurable(Preparation)
    dataset = data.bind(Dataset.of(content, "dataset"))
    bound = dataset.to_mapping()
    assert content.pop("name") == name
    assert own.keys() <= content.keys() <= own.keys() | common.keys()
    for key in content:
        default = (own | common)[key].default
        assert (bound[key] == default) == (key in own), f"{key}: a common key is here only if it differs"
    source = data.source_of(dataset)
    assert len(source.input_shape) in (1, 3)
    assert len(set(source.class_names)) >= 2 or len(set(source.value_names)) >= 1


def test_the_common_keys_of_datasets_are_written_once() -> None:
    content = yaml.safe_load((shipped_configs() / "config.yaml").read_text())["dataset"]
    assert schema.bind(Preparation, content, "dataset.") == schema.bind(Preparation, {}, "dataset.")
    assert content.keys() == configurable(Preparation).keys()


def test_a_dataset_of_the_user_has_the_common_keys(tmp_path: Path) -> None:
    (tmp_path / "conf" / "dataset").mkdir(parents=True)
    (tmp_path / "conf" / "dataset" / "mine.yaml").write_text(
        "name: iris\ntest_to_train_ratio: 0.5\nnormalization: unit\n"
    )
    dataset = compose(["dataset=mine", "dataset.validation_fraction=0.1"])["dataset"]
    assert (
        dataset
        == compose(
            ["dataset.test_to_train_ratio=0.5", "dataset.normalization=unit", "dataset.validation_fraction=0.1"]
        )["dataset"]
    )


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_dataset_agrees_with_its_facts(name: str) -> None:
    loss = "cross_entropy" if DATASETS.find(name)().class_names else "mse"
    job = build(check(load_config([f"dataset={name}", "model.hidden_sizes=[]", f"loss={loss}"])))
    inputs, targets = next(job.batches.serve("train", 4))
    assert inputs.shape == (4, *job.source.input_shape) and inputs.dtype == torch.float32
    if job.source.class_names:
        assert targets.dtype == torch.int64 and targets.max() < len(job.source.class_names)
    else:
        assert targets.dtype == torch.float32 and targets.shape == (4, len(job.source.value_names))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_can_be_in_a_list(layer: str) -> None:
    arguments = {
        "linear": "{linear: 4}",
        "maxout": "{maxout: 4}",
        "conv1d": "{conv1d: {out_channels: 2, kernel_size: 3}}",
        "max_pool1d": "{max_pool1d: 2}",
        "avg_pool1d": "{avg_pool1d: 2}",
        "unflatten": "{unflatten: {dim: 1, unflattened_size: [4, 16]}}",
        "sum": "{sum: [[relu], [negate, relu]]}",
        "concatenate": "{concatenate: [[tanh], [{conv2d: {out_channels: 2, kernel_size: 1}}, relu]]}",
        **{
            f"{kind}conv2d": f"{{{kind}conv2d: {{out_channels: 2, kernel_size: 3}}}}"
            for kind in ("", "separable_", "low_rank_")
        },
        **{name: f"{{{name}: 2}}" for name in ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d")},
    }
    rows = "flatten, {unflatten: {dim: 1, unflattened_size: [4, 16]}}, "
    flat = ("linear", "maxout", "batch_norm1d", "softmax", "log_softmax", "unflatten")
    before = "flatten, " if layer in flat else rows if layer.endswith("1d") else ""
    layers = f"[{before}{arguments.get(layer, layer)}, flatten, output]"
    job = build(check(load_config(["dataset=digits", "model=layers", f"model.layers={layers}", "model.init=uniform"])))
    assert any(type(module).__name__.lower() == layer.replace("_", "") for module in job.model)


def test_every_option_of_every_group_composes() -> None:
    for group in (*REGISTRIES, "dataset", "experiment"):
        for name in options(group):
            overrides = [f"{group}={name}"] + (["model.name=mlp"] if name == "custom" else [])
            check(load_config(overrides))


def test_runtime_facts_are_not_config_keys() -> None:
    for registry in REGISTRIES.values():
        for builder in registry.builders.values():
            facts = {p.name for p in inspect.signature(builder).parameters.values() if p.kind is p.KEYWORD_ONLY}
            assert facts <= {
                "input_shape",
                "num_outputs",
                "parameters",
                "optimizer",
                "epochs",
                "steps_per_epoch",
                "metrics",
            }


def test_conf_has_no_option_without_a_builder() -> None:
    for group, registry in REGISTRIES.items():
        for name, path in options(group).items():
            content = yaml.safe_load(path.read_text())
            chosen = content.get(group, content)["name"] if isinstance(content.get(group, content), dict) else None
            assert chosen in (*registry.builders, "???"), (group, name)
    assert set(options("dataset")) == set(DATASETS.builders)


def test_dlexp_reads_the_configs_of_this_checkout() -> None:
    assert shipped_configs().samefile(Path(__file__).parents[2] / "conf")
