"""The configuration of a training run, as every command that trains reads it."""

from collections.abc import Sequence
from types import ModuleType

from pcvae import gin_utils
from pcvae.errors import UserError

FIRST_STAGE = "FIRST_STAGE"


def parse_experiment(
    runs: ModuleType,
    gin_files: Sequence[str],
    bindings: Sequence[str],
    search_paths: Sequence[str],
    first_stage: str | None = None,
    flag: str = "first_stage",
) -> gin_utils.Configuration:
    """Reads the configuration of `runs.train`; see `gin_utils.parse`.

    Args:
        runs: the module ``pcvae.runs``.
        gin_files: the files, later ones override earlier ones.
        bindings: gin statements of the command line.
        search_paths: further folders of gin files.
        first_stage: the run directory that a later stage is put on; None for no later stage.
        flag: the flag that asks for a later stage, for the error.

    Raises:
        UserError: see there; or a later stage is asked for, and the experiment trains none.
    """
    if first_stage is not None:
        bindings = [*bindings, f"{FIRST_STAGE} = {first_stage!r}"]
    try:
        return gin_utils.parse(
            [runs.train], gin_files, bindings, search_paths, ["from pcvae import data"]
        )
    except gin_utils.UnusedMacroError as error:
        if first_stage is None or FIRST_STAGE not in error.names:
            raise
        raise UserError(
            f"--{flag}: {gin_files[-1]} trains no later stage: expected an experiment with "
            f"{FIRST_STAGE}, such as experiments/table2_synthetic_stage2.gin"
        ) from error
