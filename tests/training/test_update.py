import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.training.optimizers import AdamW
from pcvae.training.strategy import make_strategy
from pcvae.training.update import GradientUpdate, TrainingDivergedError

NAN, INF = float("nan"), float("inf")


class Run:
    """A GradientUpdate on two small variables, driven by scripted gradient norms."""

    def __init__(self, strategy=None, **arguments):
        self.strategy = strategy or make_strategy("one_device")
        replicas = self.strategy.num_replicas_in_sync
        with self.strategy.scope():
            self.variables = {"a": tf.Variable([1.0, -2.0, 3.0]), "b": tf.Variable([[0.5]])}
            self.update = GradientUpdate(AdamW(0.1, weight_decay=0.1, warmup_steps=0), **arguments)
            self.update.build(self.variables)

        @tf.function
        def step(gradients):
            def one_replica(*gradients):
                # Unequal parts that add up to the gradient: only their sum may count.
                index = tf.distribute.get_replica_context().replica_id_in_sync_group
                part = 1.0 if replicas == 1 else tf.where(tf.equal(index, 0), 0.25, 0.75)
                return self.update.apply([part * g for g in gradients])

            return self.strategy.run(one_replica, args=gradients)

        self._step = step

    def step(self, norm):
        """Applies a gradient of the given global norm; returns the report."""
        gradients = tf.constant([0.6, 0.0, 0.0]) * norm, tf.constant([[0.8]]) * norm
        report = self._step(gradients)
        return tf.nest.map_structure(
            lambda x: self.strategy.experimental_local_results(x)[0].numpy(), report
        )

    def skips(self, norms):
        return [bool(self.step(norm).skipped) for norm in norms]

    def weights(self):
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def untouchables(self):
        """All that a skipped update has to leave alone, as bytes."""
        state = self.update.state
        kept = {**self.variables, **state["ema"], **state["optimizer"]}
        return [variable.numpy().tobytes() for variable in kept.values()]


class GradientRecorder(AdamW):
    """An optimizer that also keeps the scale it is called with."""

    def apply(self, gradients, step, active=True, gradient_scale=1.0):
        self.scale = gradient_scale
        return super().apply(gradients, step, active, gradient_scale)


@pytest.mark.parametrize("norm, scale", [(3.0, 1.0), (5.0, 1.0), (20.0, 0.25), (0.0, 1.0)])
def test_norm_and_clip_closed_form(norm, scale):
    optimizer = GradientRecorder()
    update = GradientUpdate(optimizer, clip_norm=5.0)
    update.build({"a": tf.Variable([1.0, 1.0]), "b": tf.Variable(1.0)})
    report = update.apply([norm * tf.constant([2 / 7, 3 / 7]), norm * tf.constant(6 / 7)])
    assert report.gradient_norm.numpy() == pytest.approx(norm, rel=1e-6)
    assert float(optimizer.scale) == pytest.approx(scale, rel=1e-6)


def test_clipping_changes_the_step_as_a_smaller_gradient_does():
    clipped, small = Run(clip_norm=2.0), Run(clip_norm=None)
    for norm in (1.0, 8.0, 4.0):
        clipped.step(norm)
        small.step(min(norm, 2.0))
    for name, value in small.weights().items():
        np.testing.assert_allclose(clipped.weights()[name], value, rtol=1e-6)


def test_nothing_finite_is_skipped_before_twenty_norms_are_known():
    run = Run(skip_factor=4.0)
    assert run.skips([1.0] * 10 + [1e6] * 3 + [1.0] * 7) == [False] * 20
    assert run.skips([1e6]) == [True]


def test_the_threshold_is_the_factor_times_the_running_median():
    run = Run(skip_factor=3.0, skip_window=20, ema_decay=0.9)
    norms = [float(n) for n in np.random.default_rng(0).uniform(1, 2, size=50)]
    for done, norm in enumerate(norms):
        expected = 3.0 * np.median(norms[max(done - 20, 0) : done]) if done >= 20 else INF
        report = run.step(norm)
        np.testing.assert_allclose(report.skip_threshold, expected, rtol=1e-5)
        assert report.skipped == (norm > expected)


def test_skipping_follows_a_script():
    run = Run(skip_factor=2.0, skip_window=20)
    run.skips([1.0] * 20)
    assert run.skips([1.9, 2.1, 1.0, 50.0, 50.0, 1.0]) == [False, True, False, True, True, False]


def test_never_more_than_n_finite_skips_in_a_row_and_a_lasting_change_is_followed():
    run = Run(skip_factor=2.0, skip_window=20, max_consecutive_skips=3)
    run.skips([1.0] * 20)
    # With 10 of the 20 norms in the window at 100, the median is 50.5 and 100 is let through.
    three, one = [True] * 3, [False]
    assert run.skips([100.0] * 16) == three + one + three + one + [True] * 2 + [False] * 6


def test_a_skip_for_nan_counts_among_the_skips_in_a_row():
    run = Run(skip_factor=2.0, max_consecutive_skips=2)
    run.skips([1.0] * 20)
    skips = run.skips([NAN, 99.0, 99.0, NAN, NAN, NAN, 99.0])
    assert skips == [True, True, False, True, True, True, False]


def test_counters():
    run = Run(skip_factor=2.0, skip_window=20)
    run.skips([1.0] * 20)
    reports = [run.step(norm) for norm in (INF, NAN, 9.0, 1.0, 9.0)]
    assert [int(r.nonfinite_in_a_row) for r in reports] == [1, 2, 0, 0, 0]
    assert [int(r.skipped_in_a_row) for r in reports] == [1, 2, 3, 0, 1]
    assert [int(r.skipped_total) for r in reports] == [1, 2, 3, 3, 4]
    assert run.update.step.numpy() == 25
    assert run.update.state["optimizer"]["updates_applied"].numpy() == 21


@pytest.mark.parametrize("norm", [50.0, NAN, INF, -INF])
def test_a_skipped_update_changes_no_bit_of_weights_slots_and_averages(norm):
    run = Run(skip_factor=2.0, ema_decay=0.5)
    run.skips(np.linspace(1.0, 1.5, 20))
    before = run.untouchables()
    assert run.step(norm).skipped
    assert run.untouchables() == before
    assert not run.step(1.2).skipped
    assert all(now != then for now, then in zip(run.untouchables(), before, strict=True))


def test_a_norm_that_overflows_is_skipped():
    run = Run()
    assert run.step(1e30).skipped


@pytest.mark.parametrize("warmup", [False, True])
def test_the_average_follows_its_closed_form(warmup):
    run = Run(ema_decay=0.7, ema_warmup=warmup, skip_factor=2.0)
    expected, applied = run.weights(), 0
    for norm in [1.0] * 22 + [NAN, 1.0, 70.0, 1.0]:
        if not run.step(norm).skipped:
            decay = min(0.7, (1 + applied) / (10 + applied)) if warmup else 0.7
            expected = {
                name: decay * expected[name] + (1 - decay) * value
                for name, value in run.weights().items()
            }
            applied += 1
    assert applied == 24
    for name, value in expected.items():
        np.testing.assert_allclose(run.update.ema[name].numpy(), value, rtol=1e-5)


def test_the_weights_of_a_second_model_may_hold_the_average():
    for strategy in (make_strategy("one_device"), make_strategy("mirrored", ("CPU:0", "CPU:1"))):
        with strategy.scope():
            model, averaged = {"w": keras.Variable([1.0, 2.0])}, {"w": keras.Variable([0.0, 0.0])}
            update = GradientUpdate(AdamW(0.1, warmup_steps=0), ema_decay=0.75, ema_warmup=False)
            update.build(model, averaged)
        assert update.state["ema"]["w"] is averaged["w"]
        np.testing.assert_array_equal(averaged["w"].numpy(), [1.0, 2.0])
        tf.function(lambda s=strategy, u=update: s.run(lambda: u.apply([tf.ones([2])])))()
        expected = 0.75 * np.array([1.0, 2.0]) + 0.25 * model["w"].numpy()
        for copy in strategy.experimental_local_results(averaged["w"].value):
            np.testing.assert_allclose(copy, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="differ in: other, w"):
        GradientUpdate(AdamW()).build({"w": tf.Variable(1.0)}, {"other": tf.Variable(1.0)})


def test_two_mirrored_devices_equal_one():
    norms = [*np.random.default_rng(2).uniform(1, 2, size=25), 9.0, NAN, 1.5, 9.0, 9.0, 9.0, 1.0]
    settings = {"skip_factor": 3.0, "max_consecutive_skips": 2, "clip_norm": 1.8}
    one = Run(**settings)
    two = Run(make_strategy("mirrored", ("CPU:0", "CPU:1")), **settings)
    for norm in norms:
        for got, expected in zip(two.step(norm), one.step(norm), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert one.update.state["update"]["skipped_total"].numpy() == 4
    state = {**two.variables, **{k: v for g in two.update.state.values() for k, v in g.items()}}
    reference = {**one.variables, **{k: v for g in one.update.state.values() for k, v in g.items()}}
    for name, variable in state.items():
        copies = [copy.numpy() for copy in two.strategy.experimental_local_results(variable)]
        assert copies[0].tobytes() == copies[1].tobytes(), name
        np.testing.assert_allclose(copies[0], reference[name].numpy(), rtol=1e-6, atol=1e-6)


def test_divergence_is_raised_after_n_nonfinite_gradients_in_a_row():
    run = Run(max_consecutive_nonfinite=3)
    for norm in (1.0, NAN, NAN, 1.0, NAN, INF):
        run.update.raise_if_diverged(run.step(norm))
    remedies = "lower learning rate.*CLIP_NORM.*KL_WARMUP_STEPS"
    with pytest.raises(TrainingDivergedError, match=remedies):
        run.update.raise_if_diverged(run.step(NAN))


def test_a_variable_without_gradient_is_named():
    update = GradientUpdate(AdamW())
    update.build({"used": tf.Variable(1.0), "not/used": tf.Variable(1.0)})
    with pytest.raises(ValueError, match="no gradient reaches: not/used"):
        tf.function(lambda: update.apply([tf.constant(1.0), None])).get_concrete_function()


def test_a_sparse_gradient_is_taken():
    def moved(gradient):
        table = tf.Variable(tf.ones([3, 2]))
        update = GradientUpdate(AdamW(0.1, warmup_steps=0))
        update.build({"table": table})
        update.apply([gradient])
        return table.numpy()

    sparse = tf.IndexedSlices(tf.ones([1, 2]), tf.constant([1]), tf.constant([3, 2]))
    np.testing.assert_array_equal(moved(sparse), moved(tf.convert_to_tensor(sparse)))


def test_cross_replica_context_is_refused():
    run = Run(make_strategy("mirrored", ("CPU:0", "CPU:1")))
    with run.strategy.scope(), pytest.raises(ValueError, match="replica context"):
        run.update.apply([tf.zeros([3]), tf.zeros([1, 1])])


def test_graph_nodes_for_each_variable_are_few():
    def nodes(count):
        variables = {f"v{i}": tf.Variable(tf.ones([2])) for i in range(count)}
        update = GradientUpdate(AdamW())
        update.build(variables)
        step = tf.function(lambda: update.apply([tf.ones([2])] * count))
        return len(step.get_concrete_function().graph.get_operations())

    assert (nodes(12) - nodes(2)) / 10 <= 15


@pytest.mark.parametrize(
    "name, value",
    [
        ("clip_norm", 0.0),
        ("skip_factor", 1.0),
        ("skip_window", 0),
        ("max_consecutive_skips", 0),
        ("ema_decay", 1.0),
    ],
)
def test_wrong_values_are_named(name, value):
    with pytest.raises(UserError, match=name):
        GradientUpdate(AdamW(), **{name: value})
