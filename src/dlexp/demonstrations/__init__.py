"""Demonstrations: exercises that show a statement by computing its two sides."""

from dlexp.config.registry import Registry
from dlexp.demonstrations.classification import accuracy_slope, four_classes, several_labels
from dlexp.demonstrations.conditioning import hessian_condition
from dlexp.demonstrations.convolution import composed_convolution, pointwise_convolution, transposed_convolution
from dlexp.demonstrations.counts import layer_table, perceptron_parameters
from dlexp.demonstrations.dropout import dropout_ensemble
from dlexp.demonstrations.early_stopping import early_stopping_is_l2
from dlexp.demonstrations.gradients import sigmoid_deltas, squared_error_gradients
from dlexp.demonstrations.linear import deep_linear, linear_rank
from dlexp.demonstrations.shared_weights import shared_weight_gradients
from dlexp.demonstrations.sides import Demonstration
from dlexp.demonstrations.softmax import log_sum_exp, sigmoid_is_softmax, softmax_limits
from dlexp.demonstrations.transfer import frozen_layers
from dlexp.demonstrations.xnor import xnor_in_numpy


def none() -> None:
    """Demonstrate nothing: the config is trained."""


DEMONSTRATIONS: Registry[Demonstration | None] = Registry(
    "demonstration",
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
            softmax_limits,
            four_classes,
            several_labels,
            accuracy_slope,
            early_stopping_is_l2,
            linear_rank,
            deep_linear,
            squared_error_gradients,
            shared_weight_gradients,
            sigmoid_deltas,
            perceptron_parameters,
            layer_table,
            frozen_layers,
            hessian_condition,
            xnor_in_numpy,
        )
    },
)
