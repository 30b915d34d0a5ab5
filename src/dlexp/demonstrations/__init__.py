"""Identities: exercises that prove something, each as two ways to the same numbers."""

from dlexp.identities.convolution import composed_convolution, pointwise_convolution, transposed_convolution
from dlexp.identities.counts import layer_table, perceptron_parameters
from dlexp.identities.dropout import dropout_ensemble
from dlexp.identities.early_stopping import early_stopping_is_l2
from dlexp.identities.gradients import shared_weight_gradients, sigmoid_deltas, squared_error_gradients
from dlexp.identities.linear import deep_linear, linear_rank
from dlexp.identities.sides import Demonstration
from dlexp.identities.softmax import log_sum_exp, several_labels, sigmoid_is_softmax
from dlexp.identities.xnor import xnor_in_numpy
from dlexp.registry import Registry


def none() -> None:
    """Nothing to prove: the config is trained."""


IDENTITIES: Registry[Demonstration | None] = Registry(
    "identity",
    {
        builder.__name__: builder
        for builder in (
            none,
            dropout_ensemble,
            pointwise_convolution,
            transposed_convolution,
            composed_convolution,
            sigmoid_is_softmax,
            log_sum_exp,
            several_labels,
            early_stopping_is_l2,
            linear_rank,
            deep_linear,
            squared_error_gradients,
            shared_weight_gradients,
            sigmoid_deltas,
            perceptron_parameters,
            layer_table,
            xnor_in_numpy,
        )
    },
)
