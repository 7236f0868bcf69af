"""Models made of stages: a new stage on a trained one, or all stages at once."""

from collections.abc import Callable, Sequence

from pcvae.errors import UserError
from pcvae.models.base import HierarchicalModel
from pcvae.models.stage_order import RECONSTRUCTION, condition_of_next_stage
from pcvae.models.staged import StagedVAE


def staged_on(
    image_shape: Sequence[int],
    first_stage: HierarchicalModel,
    stage_fn: Callable,
    later_stages_see: str = RECONSTRUCTION,
) -> StagedVAE:
    """Puts a new stage on a trained model, which is frozen (Shu and Ermon 2022, section 5.1).

    Args:
        image_shape: (height, width, channels) of the data.
        first_stage: the trained model: a `VDVAE`, or a `StagedVAE` that gets one stage more.
        stage_fn: called with image_shape, condition and condition_shape; returns the
            `ConditionalVDVAE`.
        later_stages_see: see `StagedVAE`.

    Returns:
        A `StagedVAE` of which only the last stage is trained.

    Raises:
        UserError: the parts do not fit together.
    """
    _check_image_shape(first_stage, image_shape)
    stages = [first_stage]
    if isinstance(first_stage, StagedVAE):
        stages = list(first_stage.stages)
        if len(stages) > 1 and first_stage.later_stages_see != later_stages_see:
            raise UserError(
                f"later_stages_see: the first stage was composed with "
                f"{first_stage.later_stages_see!r}, got {later_stages_see!r}"
            )
    given = condition_of_next_stage(stages, later_stages_see)
    model = StagedVAE([*stages, stage_fn(image_shape=image_shape, **given)], later_stages_see)
    model.freeze_stages(len(stages))
    return model


def staged_vae(
    first_stage_fn: Callable,
    later_stage_fns: Sequence[Callable],
    later_stages_see: str = RECONSTRUCTION,
    image_shape: Sequence[int] = (32, 32, 3),
) -> StagedVAE:
    """Makes all stages at once, none of them trained.

    Trained end to end by one ELBO it is the baseline of the same functional form and the same
    number of trainable parameters as `staged_on` (Shu and Ermon 2022, section 5.1).

    Args:
        first_stage_fn: called with image_shape; returns the unconditional first stage.
        later_stage_fns: a list; each is called with image_shape, condition and condition_shape,
            and returns a `ConditionalVDVAE`.
        later_stages_see: see `StagedVAE`.
        image_shape: (height, width, channels) of the data.

    Returns:
        A `StagedVAE` of which all stages are trained.
    """
    stages = [first_stage_fn(image_shape=image_shape)]
    for stage_fn in later_stage_fns:
        given = condition_of_next_stage(stages, later_stages_see)
        stages.append(stage_fn(image_shape=image_shape, **given))
    return StagedVAE(stages, later_stages_see)


def frozen_prefix_on(
    image_shape: Sequence[int], first_stage: HierarchicalModel, model_fn: Callable
) -> HierarchicalModel:
    """Makes a model whose unshared prefix is a trained first stage, and freezes the prefix.

    One model instead of a composition: the levels above the prefix see its features, not an image.

    Args:
        image_shape: (height, width, channels) of the data.
        first_stage: the trained `VDVAE`, with latents on the levels of the prefix alone.
        model_fn: called with image_shape; returns a `VDVAE` with ``unshared_prefix`` of as many
            levels, and with layer strings and widths of the first stage.

    Returns:
        The `VDVAE`, of which only what is above the prefix is trained.

    Raises:
        UserError: the parts do not fit together.
    """
    _check_image_shape(first_stage, image_shape)
    model = model_fn(image_shape=image_shape)
    if model.architecture.unshared_prefix != first_stage.num_levels:
        raise UserError(
            f"unshared_prefix: expected the {first_stage.num_levels} levels of the first stage, "
            f"got {model.architecture.unshared_prefix}"
        )
    _take_prefix(model, first_stage.num_levels, first_stage.named_weights)
    return model


def stage_of_prefix(
    image_shape: Sequence[int], trained: HierarchicalModel, stage_fn: Callable
) -> HierarchicalModel:
    """Makes a first stage of the prefix of a trained model, and freezes the prefix (ours).

    Its rate is that of the prefix, its own image what blocks without latents learn to make of it:
    by `ConstrainedRate`, whose rate nothing can move here, a decoder of least distortion. As a
    first stage it is the control of one that was trained for a rate: the same bits, chosen by
    whatever the whole model was trained for.

    Args:
        image_shape: (height, width, channels) of the data.
        trained: a trained `VDVAE` without a condition.
        stage_fn: called with image_shape; returns a `VDVAE` with ``num_latent_levels`` for the
            prefix, and with layer strings and widths of the trained model.

    Returns:
        The `VDVAE`, of which only what follows the prefix is trained.

    Raises:
        UserError: the parts do not fit together.
    """
    _check_image_shape(trained, image_shape)
    stage = stage_fn(image_shape=image_shape)
    _take_prefix(stage, stage.num_levels, trained.weights_of_prefix(stage.num_levels))
    return stage


def _take_prefix(model, num_levels, trained):
    """Copies the weights of a prefix from {name: trained weight}, and freezes them."""
    prefix = model.weights_of_prefix(num_levels)
    for name, weight in prefix.items():
        source = trained.get(name.replace("prefix_encoder/", "encoder/"))
        if source is None or source.shape != weight.shape:
            got = "nothing" if source is None else f"shape {tuple(source.shape)}"
            raise UserError(
                f"trained model: expected {name} of shape {tuple(weight.shape)} as the model with "
                f"its prefix has it, got {got}: take its layer strings and widths"
            )
        weight.assign(source)
    model.freeze(prefix)


def _check_image_shape(first_stage, image_shape):
    if tuple(first_stage.image_shape) != tuple(image_shape):
        shapes = (first_stage.image_shape, image_shape)
        modelled, given = ("x".join(map(str, shape)) for shape in shapes)
        raise UserError(
            f"first stage: it models images of {modelled}, the data has images of {given}: give "
            "both the same data and IMAGE_SIZE"
        )
