"""Combinations of dataset, model, loss, optimizer, scheduler and regularizer: each trains, or is refused with a reason.

Every pair of choices occurs: those that can be trained together in a combination that is trained, the others in one
that is refused. What fits is told here by what components say of themselves, not by the code that refuses.
"""

LEAST = 200  # combinations
CUT = ["dataset.train_size=64", "dataset.test_size=32"]
SMALLER = {  # what else is said of a dataset, so that two epochs take no time, or so that a loss finds its like
    **dict.fromkeys(("mnist", "cifar10", "hoda", "hoda_full", "digits"), CUT),
    "noise": ["dataset.shape=[3,32,32]", "dataset.classes=10"],
    "inline pairs": ["dataset.targets=null", "dataset.class_names=null"],
}
# They need Python, or weights from a network; alexnet is alexnet_cifar10 but for its sizes.
LEFT_OUT = ("custom", "pretrained", "alexnet")
