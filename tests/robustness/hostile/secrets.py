"""Configs that read secrets out of the environment, to be kept in a run directory or shown in a report."""

from robustness.hostile import RUN, Attack, both, configured, write

VALUE = "${oc.env:SECRET_TOKEN}"
KEYS = ("name", "reference", "imports", "data_dir", "output_dir", "device", "seed", "epochs")
WAYS = {
    "as it is": VALUE,
    "in a text": "a-${oc.env:SECRET_TOKEN}",
    "with a default": "${oc.env:SECRET_TOKEN,x}",
    "as a default": "${oc.env:NOT_THERE,${oc.env:SECRET_TOKEN}}",
    "decoded": "${oc.decode:${oc.env:SECRET_TOKEN}}",
    "of a name put together": "${oc.env:SECRET_${loss.part}}",
    "by a resolver put together": "${oc.${loss.how}:SECRET_TOKEN}",
    "by another key": "${loss.other}",
    "by a mapping": "${oc.create:{a: ${oc.env:SECRET_TOKEN}}}",
}


def attacks() -> list[Attack]:
    """Return each key typed, and each way in an experiment, a saved config, and the config of a run."""
    found = [Attack(f"secret: {key}, typed", (["train", "epochs=1", f"{key}='{VALUE}'"],)) for key in KEYS]
    inline = ["train", "epochs=1", "dataset=inline"]
    found += [
        Attack("secret: a class's name, typed", ([*inline, f"dataset.class_names=['{VALUE}','b']"],)),
        Attack("secret: a component's option, typed", (["train", f"model.activation='{VALUE}'"],)),
        Attack("secret: a key that does not exist", (["train", f"+x='{VALUE}'"],)),
        Attack("secret: a sweep's values", (["train", "-m", f"name='{VALUE}','x'"],)),
        Attack("secret: a reference", (["train", "epochs=1", f"reference=[{{x: '{VALUE}'}}]"],)),
        Attack("secret: a sweep's grid", (["train", "-m", "experiment=evil"],), write(
            "conf/experiment/evil.yaml",
            f"# @package _global_\nepochs: 1\nhydra:\n  sweeper:\n    params:\n      name: {VALUE},b\n")),
        Attack("secret: a defaults list", (["train", "experiment=evil"],), write(
            "conf/experiment/evil.yaml", f"# @package _global_\ndefaults:\n  - override /model: {VALUE}\n")),
    ]  # fmt: skip
    for what, value in WAYS.items():
        quoted = "'" + value + "'"
        more = f"loss:\n  part: TOKEN\n  how: env\n  other: {VALUE}\n"
        text = f"# @package _global_\nepochs: 1\nname: {quoted}\nreference: [{{x: {quoted}}}]\n"
        whole = text + (more if "loss" in value else "")
        found.append(Attack(f"secret: {what}, in an experiment", (["train", "experiment=evil"],),
                            write("conf/experiment/evil.yaml", whole)))  # fmt: skip
        changes = {"loss": {"name": "cross_entropy", "part": "TOKEN", "how": "env", "other": VALUE}}
        config = both(configured(reference=[{"x": value}], **(changes if "loss" in value else {})))
        verbs = (["train", "--config", f"{RUN}/config.yaml"], ["resume", RUN], ["evaluate", RUN])
        found.append(Attack(f"secret: {what}, in a run's config", verbs, config))
    return found
