"""What the commands that make the tables of the paper share: flags, seeds, what each run gets."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from absl import flags

from pcvae.checks import check_seed
from pcvae.cli import shared_flags
from pcvae.cli.experiments import parse_experiment
from pcvae.errors import UserError

DATASETS = ("synthetic", "svhn", "celeba64", "lsun64")


def define_table_flags(values: flags.FlagValues, table: str, kinds: Sequence[str]) -> None:
    """Defines the flags of a command that trains runs for each seed.

    Args:
        values: the ``absl.flags.FlagValues`` of the command.
        table: name of the table, such as ``table1``.
        kinds: the kinds of experiments, for the help text.
    """
    text = f"Whose experiments to run: experiments/{table}_DATASET_{{{','.join(kinds)}}}.gin."
    flags.DEFINE_enum("dataset", "synthetic", DATASETS, text, flag_values=values)
    text = f"Where the runs are kept (default: runs/{table}-DATASET)."
    shared_flags.define(values, "run_dir", text)
    flags.DEFINE_list("seeds", "0", "The seeds, with rows for each.", flag_values=values)
    text = "Other images: synthetic, folder:PATH, arrays:FILE, tfds:NAME or lsun:PATH."
    shared_flags.define(values, "data", text)
    text = "A gin statement for every run, 'NAME = VALUE'; --gin.NAME=VALUE is the short form."
    shared_flags.define(values, "gin_bindings", text)


def parse_seeds(texts: Sequence[str]) -> list[int]:
    """Returns seeds as integers, if they are different ones.

    Raises:
        UserError: they are not.
    """
    try:
        seeds = [int(text) for text in texts]
    except ValueError as error:
        raise UserError(f"--seeds: expected whole numbers, got {','.join(texts)}") from error
    for seed in seeds:
        check_seed(seed)
    if not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds: expected different numbers, got {','.join(texts)}")
    return seeds


def read_experiment(
    runs: ModuleType,
    name: str,
    arguments: Sequence[str],
    own: Mapping[str, object],
    first_stage: str | None = None,
) -> dict[str, Any]:
    """Reads the experiment of a run before any run is trained.

    Args:
        runs: the module ``pcvae.runs``.
        name: of the experiment, such as ``table1_synthetic_elbo``.
        arguments: those of `shared_arguments`.
        own: {macro that the command sets itself: some value of it}.
        first_stage: what stands for the stage before, of a later stage.

    Returns:
        A dict with what ``model_fn`` and ``dataset`` of `runs.train` are bound to. The former has
        the bindings of the experiment that was read last.

    Raises:
        UserError: a macro or a binding is unknown, a value does not fit, or the data are missing.
    """
    flags_of = [argument.removeprefix("--").partition("=") for argument in arguments]
    bindings = [text for flag, _, text in flags_of if flag == "gin_bindings"]
    bindings += [f"data.from_spec.spec = {text!r}" for flag, _, text in flags_of if flag == "data"]
    bindings += [f"{macro} = {value!r}" for macro, value in own.items()]
    files = [f"experiments/{name}.gin"]
    configuration = parse_experiment(runs, files, bindings, [], first_stage)
    return configuration.arguments(runs.train, ["model_fn", "dataset"])


def shared_arguments(
    values: flags.FlagValues, table: str, own_macros: Mapping[str, str], constrained: bool
) -> list[str]:
    """Returns the arguments that the user gives to the runs of one kind.

    Args:
        values: the flags of the command.
        table: name of the table, such as ``table1``.
        own_macros: {macro that the command sets itself: why}.
        constrained: whether the runs have multipliers; others do not get their macros.

    Raises:
        UserError: a macro is given that the command sets itself.
    """
    arguments = [] if values.data is None else [f"--data={values.data}"]
    for binding in values.gin_bindings:
        name = binding.partition("=")[0].strip()
        if name in own_macros:
            raise UserError(f"--gin.{name}: pcvae-{table} sets it itself ({own_macros[name]})")
        if constrained or not name.startswith("MULTIPLIER_"):
            arguments.append(f"--gin_bindings={binding}")
    return arguments
