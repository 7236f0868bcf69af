"""A chain of convolutions, each of the gelu of what comes in, with a gradient that keeps little.

TensorFlow's own gradient of such a chain keeps some six tensors for each gelu, and goes over them
ten times. The one written here keeps what enters each gelu, no more, and makes the gelu again.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pcvae.tracing import may_be_differentiated, may_be_fused

_ROOT_HALF = math.sqrt(0.5)
# Beyond these the distribution function is 0 or 1 up to one rounding of 1.
_ENDS = {tf.float32: 5.3, tf.float64: 8.4}
# A call of what XLA compiled takes 0.2 ms; from here on it saves more (on 2 cores).
_MIN_FUSED_NUMBERS = 2**17
_DENSITY_AT_ZERO = 1.0 / math.sqrt(2.0 * math.pi)


def convolve(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """Returns the convolution with zero padding; that of a 1x1 kernel is one matrix product.

    On a CPU the gradient of the product takes half the time of that of the convolution
    (``benchmarks/pointwise.py``), and half of a VDVAE's convolutions are 1x1.

    Args:
        x: [batch, height, width, channels].
        kernel: [side, side, channels, filters].
        bias: [filters], or None.
    """
    if _is_pointwise(kernel):
        outputs = tf.matmul(_flat(x), _matrix(kernel))
    else:
        outputs = tf.nn.conv2d(x, kernel, strides=1, padding="SAME")
    if bias is not None:
        outputs = tf.nn.bias_add(outputs, bias)
    return _like(outputs, x) if _is_pointwise(kernel) else outputs


def gelu_convolutions(
    x: tf.Tensor, kernels: Sequence[tf.Tensor], biases: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Applies gelu and a convolution, for each kernel in turn.

    Args:
        x: [batch, height, width, channels].
        kernels: [side, side, channels in, channels out] each.
        biases: [channels out] each.

    Returns:
        [batch, height, width, channels of the last kernel].
    """
    # What is not differentiated, such as an export, has no gradient and no XLA in its graph.
    if not (may_be_differentiated() and may_be_fused()):
        return _chain(_twice_gelu, x, [0.5 * kernel for kernel in kernels], biases)[-1]
    end: Any = _chain_with_gradient(x, *kernels, *biases)
    return end


def _chain(activation, x, kernels, biases):
    """Returns what enters each gelu, and the end."""
    tensors = [x]
    for kernel, bias in zip(kernels, biases, strict=True):
        tensors.append(convolve(activation(tensors[-1]), kernel, bias))
    return tensors


@tf.custom_gradient
def _chain_with_gradient(x, *weights):
    kernels, biases = weights[: len(weights) // 2], weights[len(weights) // 2 :]
    *entering, end = _chain(functools.partial(_elementwise, _gelu), x, kernels, biases)

    def gradient(upstream):
        of_kernels, of_biases = [], []
        for before, kernel in zip(reversed(entering), reversed(kernels), strict=True):
            of_biases.insert(0, tf.raw_ops.BiasAddGrad(out_backprop=upstream))
            of_gelu = _gradient_of_input(kernel, upstream, before)
            after, downstream = _elementwise(_gelu_and_gradient, before, of_gelu)
            of_kernels.insert(0, _gradient_of_kernel(kernel, upstream, after))
            upstream = downstream
        return upstream, *of_kernels, *of_biases

    return end, gradient


def _gradient_of_input(kernel, upstream, x):
    if _is_pointwise(kernel):
        return _like(tf.matmul(_flat(upstream), _matrix(kernel), transpose_b=True), x)
    return tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.shape(x),
        filter=kernel,
        out_backprop=upstream,
        strides=[1, 1, 1, 1],
        padding="SAME",
    )


def _gradient_of_kernel(kernel, upstream, x):
    if _is_pointwise(kernel):
        matrix = tf.matmul(_flat(x), _flat(upstream), transpose_a=True)
        return tf.reshape(matrix, kernel.shape)
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x,
        filter_sizes=kernel.shape,
        out_backprop=upstream,
        strides=[1, 1, 1, 1],
        padding="SAME",
    )


def _twice_gelu(x):
    """Twice the exact Gaussian error linear unit (not its tanh approximation), as published.

    Three passes, where `tf.nn.gelu` takes five; a half in the kernel changes no rounding.
    """
    return x * tf.math.erfc(-_ROOT_HALF * x)


def _normal_cdf(x):
    # `tf.nn.gelu` has erfc here, which takes twice the time; they differ by a rounding or two.
    below = 0.5 + 0.5 * tf.math.erf(_ROOT_HALF * x)
    # XLA's erf stops short of 1, and what is left of it would be multiplied by a large x.
    end = _ENDS[x.dtype]
    return tf.where(tf.abs(x) < end, below, tf.cast(x > 0, x.dtype))


def _exactly(x):
    """Returns x in float32, if its type is of lower precision."""
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x


def _gelu(x):
    precise = _exactly(x)
    return tf.cast(precise * _normal_cdf(precise), x.dtype)


def _gelu_and_gradient(x, upstream):
    """Returns gelu(x) and the gradient for x."""
    precise = _exactly(x)
    below = _normal_cdf(precise)
    slope = below + precise * (_DENSITY_AT_ZERO * tf.exp(-0.5 * tf.square(precise)))
    of_x = _exactly(upstream) * slope
    return tf.cast(precise * below, x.dtype), tf.cast(of_x, x.dtype)


# One trace does for all shapes. XLA makes one loop of each, and compiles it for each shape.
_function = functools.partial(tf.function, autograph=False, reduce_retracing=True)
_CALLED = {function: _function(function) for function in (_gelu, _gelu_and_gradient)}
_FUSED = {function: _function(function, jit_compile=True) for function in _CALLED}


def _elementwise(function, x, *others):
    """Applies a function whose results have the shape of x."""
    count = x.shape.num_elements()
    is_large = count is None or count >= _MIN_FUSED_NUMBERS
    results = (_FUSED if is_large else _CALLED)[function](x, *others)
    for result in tf.nest.flatten(results):
        result.set_shape(x.shape)
    return results


def _is_pointwise(kernel):
    return kernel.shape[0] == kernel.shape[1] == 1


def _matrix(kernel):
    return tf.squeeze(kernel, axis=(0, 1))


def _flat(x):
    return tf.reshape(x, (-1, x.shape[-1]))


def _like(flat, x):
    """Brings pixels back into the form of a tensor [batch, height, width, any channels]."""
    sizes = x.shape[:-1].as_list()
    if sizes.count(None) > 1:
        return tf.reshape(flat, tf.concat([tf.shape(x)[:-1], flat.shape[-1:]], axis=0))
    # One size may be left open, which takes fewer nodes of a graph than to name it.
    return tf.reshape(flat, [*(-1 if size is None else size for size in sizes), flat.shape[-1]])
