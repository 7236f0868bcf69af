"""One level of a walk, which is the same for every model, and the walk through a list of cells."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from pcvae.distributions.gaussian import rate_map_nats
from pcvae.distributions.noise import Noise
from pcvae.errors import UserError
from pcvae.layers.cells import Cell, Site
from pcvae.layers.depth import looped, written_out
from pcvae.layers.plan import Plan, of_level
from pcvae.outputs import Trace

LATENT, PRIOR_NOISE, RATE_MAP = "latent", "prior_noise", "rate_map"
# What a walk can keep of each level beside its rate, each of the shape of the latent.
KEPT: dict[str, Callable] = {
    LATENT: lambda prior, posterior, latent: latent,
    # The noise that the prior would make the latent of.
    PRIOR_NOISE: lambda prior, posterior, latent: prior.noise_of(latent),
    # The rate of each number of the latent, nats.
    RATE_MAP: lambda prior, posterior, latent: rate_map_nats(posterior, prior),
}


def walk_level(
    cell: Cell,
    h: tf.Tensor,
    site: Site,
    plan: Plan,
    noise: Noise,
    evidence: Any,
    inputs: Sequence,
    keep: Sequence[str],
) -> tuple[tf.Tensor, tuple]:
    """Takes one level: prior, posterior, latent, and what follows from it.

    Args:
        cell: the level.
        h: what holds z_<i.
        site: which level it is.
        plan: where the latent comes from.
        noise: what it is drawn with.
        evidence: what the posterior sees at this level.
        inputs: what the plan has for this level alone; see `Plan.inputs`.
        keep: keys of `KEPT`.

    Returns:
        h with z_i in it, and (rate [batch] nats, *what is kept).
    """
    prior, after = cell.prior(h, site)
    posterior = cell.posterior(h, prior, evidence, site) if plan.reads_evidence else None
    latent, rate = plan.draw(site, prior, posterior, noise, *inputs)
    return cell.absorb(after, latent), (
        rate,
        *(KEPT[name](prior, posterior, latent) for name in keep),
    )


def walk_cells(
    cells: Sequence[Cell],
    h: tf.Tensor,
    latent_shapes: Sequence[tuple],
    plan: Plan,
    noise: Noise,
    evidence: Any = None,
    keep: Sequence[str] = (),
) -> Trace:
    """Walks through cells one by one, for models of few levels whose shapes may all differ.

    Args:
        cells: one for each level.
        h: [batch, ...], what the first level starts from.
        latent_shapes: shape of each latent, without the batch.
        plan: where the latents come from.
        noise: level i draws at site i.
        evidence: what every posterior sees.
        keep: keys of `KEPT`.

    Returns:
        A `Trace`, whose features are the last h.

    Raises:
        UserError: a rate map is to be kept of a walk without a posterior.
    """
    check_keep(plan, keep)
    columns = []
    for index, (cell, shape) in enumerate(zip(cells, latent_shapes, strict=True)):
        site = Site(tf.constant(index), (tf.shape(h)[0], *shape))
        _, inputs = of_level(plan, index)
        h, outputs = walk_level(cell, h, site, plan, noise, evidence, inputs, keep)
        columns.append(outputs)
    rates, *kept = zip(*columns, strict=True)
    named = dict(zip(keep, kept, strict=True))
    return Trace(h, named.pop(LATENT, ()), tf.stack(rates, axis=1), named)


def walk_shared(
    first: Cell,
    cell: Cell,
    h: tf.Tensor,
    latent_shape: tuple,
    num_levels: int,
    plan: Plan,
    noise: Noise,
    evidence: Any = None,
    keep: Sequence[str] = (),
) -> Trace:
    """Walks through levels of one shape, all but the first of which are the same cell.

    In a graph they are a loop, which does not grow with the number of levels; run eagerly, level
    after level.

    Args:
        first: the first level.
        cell: all others; the index of the site says which one it is.
        h: [batch, ...], what the first level starts from; its shape stays.
        latent_shape: of each latent, without the batch.
        num_levels: how many levels there are.
        plan: where the latents come from; noise, evidence and keep as for `walk_cells`.

    Returns:
        A `Trace`, whose features are the last h.

    Raises:
        UserError: a rate map is to be kept of a walk without a posterior.
    """
    check_keep(plan, keep)
    shape, columns = (tf.shape(h)[0], *latent_shape), []
    specs = [
        tf.TensorSpec(h.shape[:1]),
        *(tf.TensorSpec([h.shape[0], *latent_shape]) for _ in keep),
    ]
    for own, levels in ((first, slice(0, 1)), (cell, slice(1, num_levels))):

        def level(h, slices, shared, own=own):
            index, *inputs = slices
            return walk_level(own, h, Site(index, shape), plan, noise, evidence, inputs, keep)

        if levels.start < levels.stop:
            inputs = (tf.range(levels.start, levels.stop), *plan.at(levels).inputs())
            run = (level, h, inputs, ())
            is_loop = levels.stop > 1 and not tf.executing_eagerly()
            h, outputs = looped(*run, specs) if is_loop else written_out(*run)
            columns.append(outputs)
    rates, *stacked = (tf.concat(values, axis=0) for values in zip(*columns, strict=True))
    kept = {name: tuple(tf.unstack(z)) for name, z in zip(keep, stacked, strict=True)}
    return Trace(h, kept.pop(LATENT, ()), tf.transpose(rates), kept)


def check_keep(plan: Plan, keep: Sequence[str]) -> None:
    """Raises UserError if a rate map is to be kept of a walk without a posterior."""
    if RATE_MAP in keep and not plan.reads_evidence:
        raise UserError("rate_map: expected a plan that reads evidence")
