"""One level of a walk, which is the same for every model, and the walk through a list of cells."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from pcvae.distributions.gaussian import rate_map_nats
from pcvae.distributions.noise import Noise
from pcvae.errors import UserError
from pcvae.layers.cells import Cell, Site
from pcvae.layers.plan import Plan
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
        inputs = [values[0] for values in plan.at(slice(index, index + 1)).inputs()]
        h, outputs = walk_level(cell, h, site, plan, noise, evidence, inputs, keep)
        columns.append(outputs)
    rates, *kept = zip(*columns, strict=True)
    named = dict(zip(keep, kept, strict=True))
    return Trace(h, named.pop(LATENT, ()), tf.stack(rates, axis=1), named)


def check_keep(plan: Plan, keep: Sequence[str]) -> None:
    """Raises UserError if a rate map is to be kept of a walk without a posterior."""
    if RATE_MAP in keep and not plan.reads_evidence:
        raise UserError("rate_map: expected a plan that reads evidence")
