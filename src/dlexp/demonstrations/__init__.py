"""Demonstrations: exercises that show a statement by computing its two sides."""

from dlexp.config.registry import Registry
from dlexp.demonstrations.classification import accuracy_slope, four_classes, several_labels
from dlexp.demonstrations.classified import classified_photographs
from dlexp.demonstrations.conditioning import hessian_condition
from dlexp.demonstrations.convolution import pointwise_convolution, transposed_convolution
from dlexp.demonstrations.counts import backpropagation_cost, layer_table, perceptron_parameters
from dlexp.demonstrations.derivative import extended_derivative
from dlexp.demonstrations.dropout import dropout_ensemble, dropped_channels, variance_shift
from dlexp.demonstrations.early_stopping import early_stopping_is_l2
from dlexp.demonstrations.edges import canny_and_bilateral
from dlexp.demonstrations.efficientnet import efficientnet
from dlexp.demonstrations.filters import image_filters
from dlexp.demonstrations.gradients import sigmoid_deltas, squared_error_gradients
from dlexp.demonstrations.linear import deep_linear, few_samples, linear_rank
from dlexp.demonstrations.maxout import maxout_fits
from dlexp.demonstrations.normalization import batch_norm, batch_norm_of_images, layer_norm, running_statistics
from dlexp.demonstrations.optimization import hessian_cost, newton, optimizers
from dlexp.demonstrations.separable import composed_convolution, composed_gradients
from dlexp.demonstrations.shared_weights import shared_weight_gradients
from dlexp.demonstrations.sides import Demonstration
from dlexp.demonstrations.softmax import log_sum_exp, sigmoid_is_softmax, softmax_limits
from dlexp.demonstrations.templates import template_matching
from dlexp.demonstrations.transfer import frozen_layers
from dlexp.demonstrations.worked import one_update_slips, pooling_gradients
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
            batch_norm,
            variance_shift,
            running_statistics,
            maxout_fits,
            batch_norm_of_images,
            layer_norm,
            dropped_channels,
            pointwise_convolution,
            transposed_convolution,
            composed_convolution,
            composed_gradients,
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
            backpropagation_cost,
            newton,
            hessian_cost,
            optimizers,
            xnor_in_numpy,
            one_update_slips,
            pooling_gradients,
            few_samples,
            softmax_limits,
            four_classes,
            accuracy_slope,
            frozen_layers,
            hessian_condition,
            efficientnet,
            classified_photographs,
            image_filters,
            extended_derivative,
            canny_and_bilateral,
            template_matching,
        )
    },
)
