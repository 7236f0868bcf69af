"""The paper's argument on a source of which everything is known: Gaussian data, linear hierarchies.

Four curves of rate and distortion: Shannon's, which nothing beats; that of a diffusion, whose fixed
posterior implies its rates (section 3.3 of the paper); the prefixes of a linear hierarchy trained
by the ELBO, which is free to put any bit into any level; and those of one trained by eq. 3, whose
rates are constrained to be those of the diffusion.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae import show, training
from pcvae.checks import check_integer, check_seed
from pcvae.distributions.noise import SeededNoise, fold_in, make_seed
from pcvae.layers import Posterior, walk_cells
from pcvae.layers.cells.linear import LinearCell
from pcvae.layers.walk import LATENT
from pcvae.measure import gaussian_source
from pcvae.measure.gaussian_source import Point
from pcvae.objectives import LagrangeMultiplier, lagrangian
from pcvae.outputs import ObjectiveTerms
from pcvae.progress import with_progress
from pcvae.studies.table_files import write_table
from pcvae.tables import text_table
from pcvae.units import nats_to_bits

# Ours: where the prefixes end, as signal-to-noise ratios of the diffusion.
SIGNAL_TO_NOISE = (0.03, 0.1, 0.3, 1.0, 3.0)
ELBO, CONSTRAINED = "ELBO", "rates constrained (eq. 3)"
_DATA_SITE = 2**30  # of the noise that data are drawn with, far from the indices of levels


def elbo_terms(targets: Sequence[Point]) -> Callable:
    """Returns the negative ELBO per dimension, of a decoder N(h, v I).

    The variance v is the distortion of the last point (ours): a smaller one would only make a
    longer code.
    """
    variance = targets[-1].distortion_mse

    def terms(rates, distortions):
        loss = rates[:, -1] + distortions[:, -1] / (2.0 * variance)
        return ObjectiveTerms(loss, rates[:, -1], distortions[:, -1], {})

    return terms


def constrained_terms(targets: Sequence[Point]) -> Callable:
    """Returns eq. 3: min sum_k D_k with R_k <= the rate of target k for every prefix."""
    rate_targets = tf.constant([point.rate_nats_per_dim for point in targets])

    def terms(rates, distortions):
        loss, gaps = tf.reduce_sum(distortions, axis=1), rates - rate_targets
        return ObjectiveTerms(loss, rates[:, -1], distortions[:, -1], {}, gaps)

    return terms


class LinearHierarchy:
    """Cells in a row for vectors of given variances, trained on fresh draws of the source.

    Args:
        variances: [num_dims] of the source.
        num_levels: number of cells, each with a latent of num_dims numbers.
        seed: of weights, data and noise.
    """

    def __init__(self, variances: np.ndarray, num_levels: int, seed: int) -> None:
        self.variances = np.asarray(variances, np.float64)
        num_dims = len(self.variances)
        self.cells = [
            LinearCell(num_dims, num_dims, seed=seed * 2 * num_levels + 2 * i, name=f"level_{i}")
            for i in range(num_levels)
        ]
        for cell in self.cells:
            cell.build()
        self._seed = make_seed(check_seed(seed))

    def rates_and_distortions(
        self, vectors: tf.Tensor, noise: SeededNoise
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns R_k in nats and D_k of each prefix, each per dimension: [batch, levels] twice."""
        start, num_dims = tf.zeros_like(vectors), vectors.shape[1]
        shapes = [(num_dims,)] * len(self.cells)
        trace = walk_cells(self.cells, start, shapes, Posterior(), noise, vectors, keep=(LATENT,))
        h, distortions = start, []
        for cell, latent in zip(self.cells, trace.latents, strict=True):
            h = cell.absorb(h, latent)
            distortions.append(tf.reduce_mean(tf.square(vectors - h), axis=1))
        return tf.cumsum(trace.rate_per_level, axis=1) / num_dims, tf.stack(distortions, axis=1)

    def train(
        self,
        terms: Callable,
        steps: int,
        batch_size: int,
        label: str,
        multiplier: LagrangeMultiplier | None = None,
        learning_rate: float = 5e-3,
    ) -> None:
        """Trains on ``steps`` batches.

        Args:
            terms: function (rates, distortions) -> `ObjectiveTerms`.
            steps: number of updates.
            batch_size: vectors in each.
            label: for the lines of progress.
            multiplier: built for the constraints, if there are some.
            learning_rate: at the start; it falls to 0 by a cosine.
        """
        weights = {weight.path: weight for cell in self.cells for weight in cell.weights}
        schedule = {"warmup_steps": 20, "decay": "cosine", "decay_steps": steps}
        adam = training.AdamW(learning_rate, beta_2=0.99, weight_decay=0.0, **schedule)
        update = training.GradientUpdate(adam, clip_norm=None, skip_factor=None, ema_decay=0.0)
        update.build(weights)
        std = tf.constant(np.sqrt(self.variances), tf.float32)

        @tf.function(autograph=False)
        def step():
            seed = fold_in(self._seed, tf.convert_to_tensor(update.step))
            noise = SeededNoise(seed, tf.constant(0, tf.int64))
            vectors = std * noise.normal(_DATA_SITE, (batch_size, len(self.variances)))
            with tf.GradientTape() as tape:
                found = terms(*self.rates_and_distortions(vectors, noise))
                values = None if multiplier is None else tf.convert_to_tensor(multiplier.values)
                loss = lagrangian(found, values)
            update.apply(tape.gradient(loss, [weight.value for weight in weights.values()]))
            if multiplier is not None:
                multiplier.update(tf.reduce_mean(found.constraint_gaps, axis=0))

        for _ in with_progress(range(steps), steps, label):
            step()

    def prefix_points(self) -> list[Point]:
        """Returns (R_k, D_k) of every prefix exactly, D_k with the best decoder of z_1:k.

        All is linear: latents are matrices times the source and the noise of each level. The best
        decoder is then the regression of x on z_1:k, whose error has a closed form.
        """
        num_dims, num_levels = len(self.variances), len(self.cells)
        # Rows are numbers of x or of latents; columns are the source, then each level's noise.
        std = np.concatenate([np.sqrt(self.variances), np.ones(num_dims * num_levels)])
        source = np.eye(num_dims, len(std)) * std
        h, latents, rate, points = np.zeros_like(source), [], 0.0, []
        for level, cell in enumerate(self.cells):
            analysis, synthesis, log_std = (w.numpy().astype(np.float64) for w in cell.weights)
            mean = analysis.T @ (source - h)
            rate += 0.5 * float(
                (np.square(mean).sum(1) + np.exp(2 * log_std) - 1 - 2 * log_std).sum()
            )
            latent = mean.copy()
            own = slice(num_dims * (1 + level), num_dims * (2 + level))
            latent[:, own] += np.diag(np.exp(log_std))
            h = h + synthesis.T @ latent
            latents.append(latent)
            seen = np.concatenate(latents)
            known = source @ seen.T
            explained = np.einsum("ij,ji->", known, np.linalg.solve(seen @ seen.T, known.T))
            error = self.variances.sum() - explained
            points.append(Point(rate / num_dims, float(error) / num_dims))
        return points


def gaussian_study(
    *,
    folder: str | os.PathLike,
    num_dims: int = 256,
    steps: int = 3000,
    batch_size: int = 256,
    seed: int = 0,
) -> dict[str, Any]:
    """Trains both hierarchies, writes table and plot, and prints the table.

    Args:
        folder: what gets ``results/gaussian.json`` and ``images/gaussian.png``.
        num_dims: of the source; its variances are proportional to 1/i, with mean 1.
        steps: of each training.
        batch_size: vectors in a step.
        seed: of weights, data and noise.

    Returns:
        The record that is written.
    """
    num_dims = check_integer("num_dims", num_dims, 2, 4096)
    check_integer("steps", steps, 1)
    check_integer("batch_size", batch_size, 1)
    variances = gaussian_source.harmonic_variances(num_dims)
    targets = [gaussian_source.diffusion_point(variances, s) for s in SIGNAL_TO_NOISE]
    multiplier = LagrangeMultiplier(learning_rate=0.02)
    multiplier.build([point.rate_nats_per_dim for point in targets])
    points = {"diffusion": targets}
    for name, make_terms, own in (
        (ELBO, elbo_terms, None),
        (CONSTRAINED, constrained_terms, multiplier),
    ):
        hierarchy = LinearHierarchy(variances, len(targets), seed)
        hierarchy.train(make_terms(targets), steps, batch_size, f"gaussian: {name}", own)
        points[name] = hierarchy.prefix_points()
    rows = [
        _row(name, num_levels, point, variances)
        for name, own_points in points.items()
        for num_levels, point in enumerate(own_points, 1)
    ]
    record = {
        "num_dims": num_dims,
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "signal_to_noise": list(SIGNAL_TO_NOISE),
        "rows": rows,
    }
    picture = show.gaussian_plot(rows, _curves(variances))
    write_table(folder, "gaussian", record, gaussian_text(rows), {"gaussian": picture})
    return record


def gaussian_text(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the rows as a table."""
    titles = ("code", "K", "R (bits/dim)", "D (mse)", "R / Shannon's", "R / diffusion's")
    cells = [
        (
            row["code"],
            str(row["num_levels"]),
            f"{row['rate_bits_per_dim']:.4f}",
            f"{row['distortion_mse']:.4f}",
            f"{row['rate_over_shannon']:.3f}",
            f"{row['rate_over_diffusion']:.3f}",
        )
        for row in rows
    ]
    return text_table([titles, *cells], left=(0,))


def _row(code, num_levels, point, variances):
    least = gaussian_source.shannon_rate(variances, point.distortion_mse)
    fixed = gaussian_source.diffusion_rate(variances, point.distortion_mse)
    return {
        "code": code,
        "num_levels": num_levels,
        "rate_nats_per_dim": point.rate_nats_per_dim,
        "rate_bits_per_dim": nats_to_bits(point.rate_nats_per_dim),
        "distortion_mse": point.distortion_mse,
        "rate_over_shannon": point.rate_nats_per_dim / least if least else None,
        "rate_over_diffusion": point.rate_nats_per_dim / fixed if fixed else None,
    }


def _curves(variances):
    """Returns {name: points} of the curves that are known, between the ends of the prefixes."""
    ratios = np.geomspace(0.3 * SIGNAL_TO_NOISE[0], 1.5 * SIGNAL_TO_NOISE[-1], 60)
    diffusion = [gaussian_source.diffusion_point(variances, s) for s in ratios]
    shannon = [Point(gaussian_source.shannon_rate(variances, d), d) for _, d in diffusion]
    return {"Shannon": shannon, "diffusion": diffusion}
