"""One training step: images to gradients to the update, and what it reports."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from pcvae import quantities, units
from pcvae.checks import check_integer
from pcvae.distributions.noise import SeededNoise, fold_in, make_seed
from pcvae.errors import UserError
from pcvae.objectives import LagrangeMultiplier, lagrangian
from pcvae.outputs import Constraint
from pcvae.tracing import graphs_as_traced, is_compiled_by_xla
from pcvae.training.graph_size import count_graph_nodes
from pcvae.training.micro_batches import check_parts, mean_over_parts
from pcvae.training.spectral import SpectralTerm
from pcvae.training.update import GradientUpdate
from pcvae.variables import tf_variable, without_assigning

TRAINABLE_PRECISIONS = ("float32", "float64", "mixed_bfloat16")
# Among the means that a step sums up, and does not report.
_GAPS, _STATISTICS = "constraint_gaps", "statistics"


class Trainer:
    """Trains a model by an objective that is a function of its outputs alone.

    Where the objective has ``targets``, a Lagrange multiplier for each: a step minimises the
    `lagrangian` and then moves the multipliers by the gaps, averaged over the global batch. Where
    weights of the model are frozen, such as those of a first stage, it trains the others.

    The model is called in training mode. Where it has ``statistics``, such as those of a batch
    normalisation, a step that is not skipped moves them: to the mean, over replicas and
    micro-batches, of what the layers make of their images. Such a model depends on how the batch
    is split.

    Made inside the scope of the strategy that runs it. The noise of an example is keyed by
    (seed, step, place in the global batch), and losses are sums over the global batch divided by
    its size, so that the number of replicas changes nothing.

    Args:
        model: the model that is trained.
        averaged_model: a model of the same configuration; its weights hold the moving average.
        objective: function (output, images, step) -> `ObjectiveTerms`. Its attribute ``targets``,
            if any, has the targets of its constraints, in the order of the gaps. One with
            ``samples_per_image``, K, gets each image K times, next to one another, with rates at
            the latents that were drawn (`Posterior.pointwise`).
        update: a `GradientUpdate` that is not built yet. It gets the model's `trained_weights`: for
            frozen ones there is neither a gradient, nor a slot, nor an average.
        seed: integer, of the noise.
        multiplier: a `LagrangeMultiplier` that is not built yet, of the constraints that the
            objective may have; by default the ``geco`` rule.
        micro_batches: into how many parts a replica's images are split, one after the other, whose
            gradients are summed: the memory of one part, and the step of the whole batch, with the
            same noise.
        jit_compile: whether XLA compiles the step: all of it on one replica; on several what each
            computes of its images, and neither the exchange of the gradients nor the update. The
            first step then takes longer, the numbers differ by rounding.
        spectral_term: a `SpectralTerm` that is not built yet, whose gradient is added; the reported
            loss is without it. None for none.

    Raises:
        UserError: a multiplier, and an objective without constraints; `micro_batches` is below 1;
            the model computes in a type that training would fail in.
    """

    def __init__(
        self,
        model: Any,
        averaged_model: Any,
        objective: Callable,
        update: GradientUpdate,
        seed: int = 0,
        multiplier: LagrangeMultiplier | None = None,
        micro_batches: int = 1,
        jit_compile: bool = False,
        spectral_term: SpectralTerm | None = None,
    ) -> None:
        self.micro_batches = check_integer("micro_batches", micro_batches, 1)
        _check_precision(model)
        self.model = model
        self.averaged_model = averaged_model
        self.objective = objective
        self.multiplier = _multiplier(objective, multiplier)
        self.update = update
        self.seed = make_seed(seed)
        self.strategy = tf.distribute.get_strategy()
        weights, statistics = model.trained_weights, model.statistics
        averages = averaged_model.named_weights
        averages = {name: averages[name] for name in (*weights, *statistics)}
        update.build(weights, averages, statistics)
        self.spectral_term = spectral_term
        if spectral_term is not None:
            spectral_term.build(update.variables)
        self.jit_compile = jit_compile
        whole = jit_compile and self.strategy.num_replicas_in_sync == 1
        self._step = tf.function(self._distributed_step, autograph=False, jit_compile=whole or None)

    @property
    def state(self) -> dict[str, Any]:
        """All that a checkpoint has to keep: {group: {name: variable}}."""
        moved = {**self.model.trained_weights, **self.model.statistics}
        state = {"model": moved, **self.update.state}
        parts = {"lagrange": self.multiplier, "spectral": self.spectral_term}
        return {**state, **{name: part.state for name, part in parts.items() if part}}

    @property
    def steps_taken(self) -> int:
        """Number of steps taken, skipped updates included."""
        return int(self.update.step.numpy())

    def step(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Takes one step.

        Args:
            batch: {"images": uint8 [local batch, height, width, channels], "first_example": int64
                []}, distributed over the replicas; further arrays [local batch, ...] go to the
                model by their names, such as "condition".

        Returns:
            {name: tensor}: scalars under their TensorBoard tags, means over the global batch;
            ``rate_per_level_nats`` [levels]; and the `UpdateReport` under ``update``.

        Raises:
            UserError: XLA is to compile the step, and cannot.
        """
        try:
            with graphs_as_traced():
                return self._step(batch)
        except tf.errors.InvalidArgumentError as error:
            operation = re.search(r"unsupported operations .*?: (\w+) \(", error.message)
            if operation is None:
                raise
            raise UserError(
                f"jit_compile=True: XLA cannot compile a step with {operation[1]}: leave it out"
            ) from error

    def check_batch_size(self, batch_size: int) -> None:
        """Raises UserError if the parts of a global batch cannot be equal; see `micro_batches`."""
        check_parts(batch_size // self.strategy.num_replicas_in_sync, self.micro_batches)

    def constraints(self) -> tuple[Constraint, ...]:
        """Returns the constraints, each with the prefix that it bounds.

        They may depend on the prefixes that the model decodes, so that this evaluates the objective
        on one black image, at once: what does not fit together is refused here.

        Raises:
            UserError: model and objective do not fit together.
        """
        images = tf.zeros((1, *self.model.image_shape), tf.uint8)
        noise = SeededNoise(self.seed, tf.constant(0, tf.int64))
        return self._terms(0, noise, images)[1].constraints

    def graph_nodes(self, batch: Mapping[str, Any]) -> int:
        """Returns the number of graph nodes of a step, those of its functions included."""
        return count_graph_nodes(self._step.get_concrete_function(batch).graph)

    def _distributed_step(self, batch):
        results = self.strategy.run(self._replica_step, args=(batch,))
        # Every replica reports the same: its means are already over the global batch.
        return tf.nest.map_structure(
            lambda value: self.strategy.experimental_local_results(value)[0], results
        )

    def _replica_step(self, batch):
        context = tf.distribute.get_replica_context()
        step, first = tf.convert_to_tensor(self.update.step), batch["first_example"]
        examples = {name: batch[name] for name in batch if name != "first_example"}
        constraints = []  # what they are, as the objective says while it is traced

        def part(start, examples):
            noise = SeededNoise(fold_in(self.seed, step), first + start)
            gradients, terms, means = self._gradients(step, noise, context, **examples)
            constraints[:] = terms.constraints
            return gradients, means

        def means_over_images():
            return mean_over_parts(part, examples, self.micro_batches)

        if self.jit_compile and not is_compiled_by_xla():
            # A function of each replica's own, which reads that replica's variables.
            means_over_images = tf.function(means_over_images, autograph=False, jit_compile=True)
        gradients, means = means_over_images()
        if self.spectral_term is not None:
            gradients, means[quantities.SPECTRAL_SUM] = self.spectral_term.added_to(
                gradients, context.num_replicas_in_sync
            )
        means = context.all_reduce(tf.distribute.ReduceOp.MEAN, means)
        report = self.update.apply(gradients, means.pop(_STATISTICS, {}))
        gaps = means.pop(_GAPS, None)
        return {**means, **self._moved_multipliers(constraints, gaps), "update": report}

    def _gradients(self, step, noise, context, images, **given):
        """Returns the gradients, the objective's terms and the means to report of some images."""
        # The update's own order of the variables, which its slots and averages follow.
        variables = [tf_variable(variable) for variable in self.update.variables.values()]
        with tf.GradientTape() as tape:
            output, terms, moved = self._terms(step, noise, images, **given)
            multipliers = self.multiplier and tf.convert_to_tensor(self.multiplier.values)
            loss = lagrangian(terms, multipliers) / context.num_replicas_in_sync
        means = {
            "loss": tf.reduce_mean(terms.loss),
            quantities.DISTORTION.tag: tf.reduce_mean(terms.distortion),
            quantities.RATE.tag: tf.reduce_mean(units.bits_per_dim(terms.rate, images.shape[1:])),
            "rate_per_level_nats": tf.reduce_mean(output.rate_per_level, axis=0),
            **{name: tf.reduce_mean(values) for name, values in terms.metrics.items()},
        }
        if self.multiplier:
            means[_GAPS] = tf.reduce_mean(terms.constraint_gaps, axis=0)
        if moved:
            means[_STATISTICS] = moved
        return tape.gradient(loss, variables), terms, means

    def _terms(self, step, noise, images, **given):
        """Returns the output for some images, the objective's terms and what statistics become."""
        samples = getattr(self.objective, "samples_per_image", None)
        if samples:
            images, given = tf.nest.map_structure(
                lambda values: tf.repeat(values, samples, axis=0), (images, given)
            )
            noise = noise._replace(first_example=samples * noise.first_example)
            given["pointwise"] = True
        call = functools.partial(self.model, images, noise=noise, training=True, **given)
        output, moved = without_assigning(self.update.statistics, call)
        return output, self.objective(output, images, step), moved

    def _moved_multipliers(self, constraints, gaps):
        """Moves the multipliers by the gaps of the global batch; returns what to report of them."""
        if not self.multiplier:
            return {}
        multipliers = self.multiplier.update(gaps)
        results = {}
        for index, constraint in enumerate(constraints):
            tag = functools.partial(quantities.constraint_tag, num_levels=constraint.num_levels)
            results[tag(quantities.LAGRANGE_MULTIPLIER)] = multipliers[index]
            results[tag(quantities.CONSTRAINT_GAP)] = gaps[index]
            results[tag(quantities.CONSTRAINT_TARGET)] = tf.constant(constraint.target)
        return results


def _check_precision(model):
    """Refuses types in which gradients or the steps of weights would vanish and nothing says so."""
    for part in getattr(model, "stages", [model]):
        name = part.dtype_policy.name
        if name not in TRAINABLE_PRECISIONS:
            raise UserError(
                f"dtype: expected one of {', '.join(TRAINABLE_PRECISIONS)} to train {part.name}, "
                f"got {name!r}, in which small gradients or steps vanish"
            )


def _multiplier(objective, multiplier):
    """Returns the multiplier, built for the objective's constraints; None if it has none."""
    targets = getattr(objective, "targets", ())
    if targets:
        multiplier = LagrangeMultiplier() if multiplier is None else multiplier
        multiplier.build(targets)
    elif multiplier is not None:
        raise UserError(
            f"the objective {type(objective).__name__} has no constraints for a multiplier: "
            "include 'runs/elbo.gin', or take a constrained objective"
        )
    return multiplier
