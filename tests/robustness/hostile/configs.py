"""Configs that would take all memory or time, or are none: aliases of aliases, deep nesting, enormous values."""

from robustness.hostile import READ, RUN, Attack, edited, write

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
YAMLS = {  # what is not a config, whoever reads it
    "aliases of aliases": "name: mlp\nhidden_sizes: [8]\n" + LAUGHS,
    "an alias of itself": "name: mlp\nhidden_sizes: &a [*a]\n",
    "brackets, 100,000 deep": f"name: mlp\nhidden_sizes: {'[' * 100_000}{']' * 100_000}\n",
    "mappings, 10,000 deep": f"name: mlp\nhidden_sizes: {'{a: ' * 10_000}1{'}' * 10_000}\n",
    "an interpolation of itself": "name: mlp\nhidden_sizes: ${model.hidden_sizes}\n",
    "NUL in a name": 'name: "ml\\0p"\n',
    "bytes that are no text": "name: \x80\x81",
    "a key that is a list": "name: mlp\n? [a, b]\n: 1\n",
    "merged keys": "base: &b {name: mlp}\n<<: [*b, *b]\nhidden_sizes: [<<]\n",
    "a date and binary data": "name: 2020-01-01\nhidden_sizes: !!binary AAAA\n",
    "two documents": "name: mlp\n---\nname: mlp\n",
}
TYPED = {  # refused before anything of that size is made
    "a layer of 10¹² units": ["model.hidden_sizes=[1000000000000]"],
    "10¹⁵ samples of noise": ["dataset=noise", "dataset.train_size=1000000000000000"],
    "a sweep of 10⁹ jobs": ["-m", "seed=range(1000000000)"],
    "a sweep of 10⁹ combinations": ["-m", *(f"{key}=range(1,1001)" for key in ("seed", "batch_size", "epochs"))],
    "a seed of 4,000 digits": [f"seed={'9' * 4000}"],
}


def attacks() -> list[Attack]:
    """Return each content as a model of the user's, as a file for --config, and as a run's config."""
    found = []
    for what, text in YAMLS.items():
        content = text.encode("latin-1")
        found.append(Attack(f"conf: {what}", (["train", "model=evil"],), write("conf/model/evil.yaml", content)))
        indented = "model:\n  " + text.rstrip().replace("\n", "\n  ")
        whole = f"{indented}\n".encode("latin-1")
        found.append(Attack(f"--config: {what}", (["train", "--config", "evil.yaml"],), write("evil.yaml", whole)))
        verbs = (["resume", RUN], ["evaluate", RUN])
        found.append(Attack(f"run's config: {what}", verbs, write(f"{RUN}/config.yaml", whole)))
        found.append(Attack(f"run's config, read: {what}", READ, write(f"{RUN}/config.yaml", whole), codes=(0, 2)))
    found.append(
        Attack("run's config: aliases among its own keys", (*READ, ["resume", RUN]), codes=(0, 2),
               lay_out=edited("config.yaml", "reference: []", f"reference: []\n{LAUGHS}"))
    )  # fmt: skip
    return [*found, *(Attack(f"typed: {what}", (["train", *more],), codes=(1, 2)) for what, more in TYPED.items())]
