"""AdamW and Adamax as one fused operation on each variable.

Keras' AdamW puts some 65 graph nodes on every variable; these put 5. They also differ in what they
promise: they run in replica context on gradients that are already summed over the replicas, and a
step can be called off by a tensor. ``tf.cond`` and the merge calls of ``tf.distribute`` do not mix,
so an inactive step runs the same operations with scalars that change nothing: a learning rate and
decay of 0, betas of 1, and gradients multiplied by a 0 that also swallows NaN and infinity.
(Weights and slots keep their values exactly; only a negative zero may lose its sign.)
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from pcvae.checks import check_number
from pcvae.training.schedules import LearningRate
from pcvae.variables import assign_local, local_handle, state_variable, tf_variable


def named_variables(variables: Mapping[str, Any] | Sequence) -> dict[str, Any]:
    """Returns variables as a dict by name.

    Args:
        variables: dict name -> variable, or a sequence, whose variables then go by their own path.

    Raises:
        ValueError: two variables of one name, or a variable of another strategy than the current.
    """
    if not isinstance(variables, dict):
        named = {getattr(v, "path", None) or v.name.split(":")[0]: v for v in variables}
        if len(named) < len(variables):
            raise ValueError("expected variables of different names; give a dict name -> variable")
        variables = named
    in_scope = tf.distribute.get_strategy().extended.variable_created_in_scope
    for name, variable in variables.items():
        if not in_scope(tf_variable(variable)):
            raise ValueError(f"build inside the strategy scope that made the variable {name!r}")
    return dict(variables)


class FusedOptimizer:
    """What the optimizers share: slots, counting of applied updates, and decoupled weight decay.

    ``updates_applied`` counts active steps only, and with it the correction of the bias towards
    zero, so that a skipped step leaves no trace. A subclass names the
    operation, which takes two slots, m and v, and computes its scalars.
    """

    _operation = None

    def __init__(
        self,
        *,
        learning_rate: LearningRate,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        weight_decay: float,
    ) -> None:
        """Describes an optimizer; ``learning_rate`` is a ``LearningRate``.

        Raises:
            UserError: a value outside its range.
        """
        self.learning_rate = learning_rate
        self.beta_1 = check_number("beta_1", beta_1, 0.0, 1.0, below=True)
        self.beta_2 = check_number("beta_2", beta_2, 0.0, 1.0, below=True)
        self.epsilon = check_number("epsilon", epsilon, 0.0, above=True)
        self.weight_decay = check_number("weight_decay", weight_decay, 0.0)
        self.variables = {}
        self.slots = {}
        self.updates_applied = None

    def build(self, variables: Mapping[str, Any] | Sequence) -> None:
        """Creates the slots, in the scope of the strategy that made the variables.

        Args:
            variables: dict name -> float variable (``keras.Variable`` or ``tf.Variable``), or a
                sequence, whose variables then go by their own path. The names are the keys of
                ``state``.
        """
        if self.variables:
            raise ValueError("the optimizer is built already; make another one")
        self.variables = named_variables(variables)
        self.updates_applied = state_variable("updates_applied", lambda: tf.zeros([], tf.int64))
        for name, variable in self.variables.items():
            for slot in ("m", "v"):
                self.slots[f"{slot}/{name}"] = state_variable(
                    f"{slot}/{name}", lambda v=variable: tf.zeros(v.shape, v.dtype)
                )

    @property
    def state(self) -> dict[str, Any]:
        """All that a checkpoint has to keep: dict name -> variable."""
        return {"updates_applied": self.updates_applied, **self.slots}

    def apply(
        self,
        gradients: Sequence[tf.Tensor],
        step: tf.Tensor,
        active: bool | tf.Tensor = True,
        gradient_scale: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """Moves the variables, in replica context or without a strategy.

        Args:
            gradients: a tensor for each variable, in the order of ``build``, already reduced over
                the replicas.
            step: integer tensor [], number of steps taken before, for the learning rate.
            active: bool tensor []; if false, nothing changes.
            gradient_scale: float tensor [] that multiplies every gradient (clipping).

        Returns:
            float32 [], the learning rate at this step, active or not.
        """
        if len(gradients) != len(self.variables):
            raise ValueError(f"expected {len(self.variables)} gradients, got {len(gradients)}")
        active = tf.convert_to_tensor(active)
        rate = self.learning_rate(step)
        active_rate = tf.where(active, rate, 0.0)
        update = tf.convert_to_tensor(self.updates_applied) + 1
        scalars = {
            "beta1": tf.where(active, self.beta_1, 1.0),
            "beta2": tf.where(active, self.beta_2, 1.0),
            "keep": 1.0 - active_rate * self.weight_decay,
            "scale": tf.where(active, gradient_scale, 0.0),
            **self._scalars(
                active_rate,
                _bias_correction(self.beta_1, update),
                _bias_correction(self.beta_2, update),
            ),
        }
        typed = {
            dtype: {key: tf.cast(value, dtype) for key, value in scalars.items()}
            for dtype in {gradient.dtype for gradient in gradients}
        }
        for (name, variable), gradient in zip(self.variables.items(), gradients, strict=True):
            arguments = dict(typed[gradient.dtype])
            keep, scale = arguments.pop("keep"), arguments.pop("scale")
            if self.weight_decay:
                assign_local(variable, tf.convert_to_tensor(variable) * keep)
            self._operation(
                var=local_handle(variable),
                m=local_handle(self.slots[f"m/{name}"]),
                v=local_handle(self.slots[f"v/{name}"]),
                # Zero where the scale is zero, whatever the gradient: NaN * 0 would be NaN.
                grad=tf.math.multiply_no_nan(gradient, scale),
                **arguments,
            )
        assign_local(self.updates_applied, tf.where(active, update, update - 1))
        return rate

    def get_config(self) -> dict:
        """Returns the arguments that make an equal optimizer."""
        schedule = self.learning_rate.get_config()
        schedule.pop("final_fraction")
        return {
            "learning_rate": schedule.pop("peak"),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "weight_decay": self.weight_decay,
            **schedule,
        }

    def _scalars(self, rate, bias_1, bias_2):
        """Returns the arguments of the operation that depend on rate and bias corrections."""
        raise NotImplementedError


class AdamW(FusedOptimizer):
    """Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019).

    ``var -= rate * weight_decay * var``, then ``var -= rate * m_hat / (sqrt(v_hat) + epsilon)``
    with the moments corrected for their bias before epsilon is added, as in the papers and in
    PyTorch. (Keras adds epsilon to the uncorrected root; the two agree as epsilon goes to zero.)
    The defaults are those published for the VDVAE on CIFAR-10. Every variable decays.
    """

    _operation = staticmethod(tf.raw_ops.ResourceApplyAdam)

    def __init__(
        self,
        learning_rate: float = 2e-4,
        beta_1: float = 0.9,
        beta_2: float = 0.9,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        warmup_steps: int = 100,
        decay: str = "constant",
        decay_steps: int | None = None,
    ) -> None:
        """Describes the optimizer; the last three go to ``LearningRate``."""
        super().__init__(
            learning_rate=LearningRate(learning_rate, warmup_steps, decay, decay_steps),
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            weight_decay=weight_decay,
        )

    def _scalars(self, rate, bias_1, bias_2):
        # The bias corrections go into rate and epsilon: the operation's own form, 1 - power in
        # float32, loses digits for a beta close to 1, and has epsilon where Keras has it.
        root = tf.sqrt(bias_2)
        return {
            "lr": rate * root / bias_1,
            "epsilon": self.epsilon * root,
            "beta1_power": 0.0,
            "beta2_power": 0.0,
        }


class Adamax(FusedOptimizer):
    """Adam with the infinity norm (Kingma and Ba 2015, section 7.1), with decoupled weight decay.

    ``var -= rate * m_hat / (v + epsilon)``, ``v = max(beta_2 * v, |gradient|)``. The betas and the
    rate are the paper's; epsilon, which it does not have, keeps a gradient of zero harmless.
    """

    _operation = staticmethod(tf.raw_ops.ResourceApplyAdaMax)

    def __init__(
        self,
        learning_rate: float = 2e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 100,
        decay: str = "constant",
        decay_steps: int | None = None,
    ) -> None:
        """Describes the optimizer; the last three go to ``LearningRate``."""
        super().__init__(
            learning_rate=LearningRate(learning_rate, warmup_steps, decay, decay_steps),
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            weight_decay=weight_decay,
        )

    def _scalars(self, rate, bias_1, bias_2):
        return {"lr": rate / bias_1, "epsilon": self.epsilon, "beta1_power": 0.0}


def _bias_correction(beta, update):
    """Returns 1 - beta^update to full float32 precision; ``update`` counts from 1."""
    if beta == 0.0:
        return tf.ones([], tf.float32)
    return -tf.math.expm1(tf.cast(update, tf.float32) * math.log(beta))
