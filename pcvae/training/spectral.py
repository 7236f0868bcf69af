"""A term of the loss for smooth networks: the largest singular values of their convolutions."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from pcvae.checks import check_integer, check_number
from pcvae.errors import UserError
from pcvae.training.optimizers import named_variables
from pcvae.variables import assign_local, state_variable


class SpectralTerm:
    """weight * sum of the largest singular value of each convolution kernel, for the loss.

    It bounds how fast what a network says can change with what it sees, so that the KL divergence
    of a deep hierarchy stays bounded (Vahdat and Kautz 2020, arXiv 2007.03898, section 3.3).

    A kernel [height, width, in, out] counts as the matrix [height * width * in, out]; a kernel of a
    stack as one such matrix for each of its levels. The singular value is found by power iteration
    (Yoshida and Miyato 2017, arXiv 1705.10941): one iteration for each step, from where the last
    one ended, as the weights move little from one to the next.

    Args:
        weight: in units of the objective's loss, for each unit of the sum.
        first_iterations: iterations from the random start of the vectors, before the first step
            (ours).

    Raises:
        UserError: an argument outside its range.
    """

    def __init__(self, weight: float = 0.01, first_iterations: int = 10) -> None:
        self.weight = check_number("spectral weight", weight, 0.0)
        self.first_iterations = check_integer("spectral first_iterations", first_iterations, 1)
        self._kernels: dict[str, Any] = {}

    def build(self, variables: Mapping[str, Any] | Sequence) -> None:
        """Creates the vectors of the kernels, in the scope of the strategy that trains.

        Args:
            variables: {name: variable} of all that is trained, in the order in which `added_to`
                takes their gradients.

        Raises:
            UserError: none of them is the kernel of a convolution.
        """
        self._variables = named_variables(variables)
        self._kernels = {
            name: variable
            for name, variable in self._variables.items()
            if name.endswith("kernel") and len(variable.shape) >= 4
        }
        if not self._kernels:
            raise UserError("spectral term: expected convolutions to train, the model has none")
        # One graph for kernels of all shapes: operation by operation it would take many seconds.
        specs = [tf.TensorSpec([None] * rank) for rank in (3, 2)]
        self._iterated = tf.function(
            _iterated, [*specs, tf.TensorSpec([], tf.int32)], autograph=False
        )
        self._vectors = {
            name: state_variable(name, lambda v=variable, i=index: self._first_vectors(v, i))
            for index, (name, variable) in enumerate(self._kernels.items())
        }

    def _first_vectors(self, variable, index):
        matrices = as_matrices(tf.convert_to_tensor(variable))
        shape = (matrices.shape[0], matrices.shape[2])
        vectors = tf.math.l2_normalize(tf.random.stateless_normal(shape, seed=(index, 0)), axis=-1)
        return self._iterated(matrices, vectors, self.first_iterations)

    @property
    def state(self) -> dict[str, tf.Variable]:
        """All that a checkpoint has to keep: {name of the kernel: vectors [levels, out]}."""
        return dict(self._vectors)

    def added_to(
        self, gradients: Sequence[tf.Tensor], num_replicas: int = 1
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Adds the gradient of the term, in replica context or without a strategy.

        Moves the vectors by one iteration. All replicas compute the same.

        Args:
            gradients: of the rest of the loss, one for each variable of `build`.
            num_replicas: over how many replicas gradients are summed.

        Returns:
            The new gradients, and the sum of the singular values, float32 [].
        """
        new, total = [], tf.zeros([])
        share = self.weight / num_replicas
        for (name, variable), gradient in zip(self._variables.items(), gradients, strict=True):
            if name in self._kernels and gradient is not None:
                kernel = tf.convert_to_tensor(variable)
                vectors = self._vectors[name]
                left, right, values = power_iteration(as_matrices(kernel), vectors)
                assign_local(vectors, right)
                total += tf.reduce_sum(values)
                # The derivative of u W v by W: the vectors of a simple singular value stand still.
                own = tf.reshape(tf.einsum("lm,ln->lmn", left, right), kernel.shape)
                gradient = gradient + tf.cast(share * own, gradient.dtype)
            new.append(gradient)
        return new, total


def as_matrices(kernel: tf.Tensor) -> tf.Tensor:
    """Returns a kernel, [levels, ...] if it is that of a stack, as float32 [levels, -, out]."""
    levels = kernel.shape[0] if len(kernel.shape) > 4 else 1
    return tf.reshape(tf.cast(kernel, tf.float32), (levels, -1, kernel.shape[-1]))


def power_iteration(
    matrices: tf.Tensor, vectors: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One iteration towards the largest singular value of each matrix.

    Args:
        matrices: [levels, rows, columns].
        vectors: [levels, columns], of length 1.

    Returns:
        u [levels, rows], v [levels, columns] and sigma = u W v [levels]. A matrix of zeros gives
        u = 0 and leaves v as it was.
    """
    left = tf.math.l2_normalize(tf.linalg.matvec(matrices, vectors), axis=-1)
    back = tf.linalg.matvec(matrices, left, transpose_a=True)
    values = tf.norm(back, axis=-1)
    there = values[:, None] > 0.0
    right = tf.where(there, tf.math.divide_no_nan(back, values[:, None]), vectors)
    return left, right, values


def _iterated(matrices, vectors, count):
    """Returns the vectors after so many iterations."""
    return tf.while_loop(
        lambda index, _: index < count,
        lambda index, vectors: (index + 1, power_iteration(matrices, vectors)[1]),
        (tf.constant(0), vectors),
    )[1]
