"""What a sweep and its workers tell each other arrives as it was sent."""

import pytest

from dlexp.config.config import from_mapping, load_config
from dlexp.sweep.messages import Check, Ended, Message, Progress, Refused, Train, decode, encode
from dlexp.training.build import check

OTHER = ["model.hidden_sizes=[5,5]", "model.activation={leaky_relu: 0.2}", "optimizer.lr=1e-3", "stop_at=3",
         "reference=[{optimizer: adam, test/accuracy: 0.1}]", "batch_size=full"]  # fmt: skip


@pytest.mark.parametrize("overrides", [[], OTHER, ["dataset=digits", "optimizer=sgd", "scheduler=one_cycle"]])
def test_a_config_arrives_as_it_was(overrides: list[str]) -> None:
    config = check(load_config(overrides))
    sent = Train(config.to_mapping(), "job", ("dlexp", "train", *overrides))
    line = encode(sent)
    received = decode(line)
    assert isinstance(received, Train) and line.count("\n") == 1 and received.command == sent.command
    assert check(from_mapping(received.config)) == config
    assert repr(check(from_mapping(received.config))) == repr(config), "1 is not 1.0"


@pytest.mark.parametrize(
    "message",
    [
        Check(({"epochs": 1}, {"epochs": 2})),
        Progress("epoch 1/3\nmäh"),
        Ended("failed", message="it's", exit_code=2, said=("one", "two"), seconds=1.5),
        Ended("stopped", "outputs/run", signal=15),
        Refused(None),
        Refused("no"),
    ],
)
def test_a_message_arrives_as_it_was(message: Message) -> None:
    assert decode(encode(message)) == message
    assert decode(encode(message).encode()) == message


@pytest.mark.parametrize(
    "line",
    [
        *("", "epoch 1/3", "{}", "[]", "3", '{"type": "Fly"}', '{"type": "Ended"}', '{"type": "Progress", "te'),
        '{"type": "Progress", "text": "a", "x": 1}',
        '{"type": "Ended", "status": "failed", "seconds": "long"}',
    ],
)
def test_a_line_that_is_no_message_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="not a message"):
        decode(line)
