"""Table 2 of the paper: does a first stage that is a good code make better samples?

Usage:
  pcvae-table2
  pcvae-table2 --seeds=0,1,2
  pcvae-table2 --dataset=synthetic --targets=0.03 --run_dir=runs/table2-synthetic
  pcvae-table2 --dataset=lsun64 --data=lsun:PATH --extractor=inception.pb

For each seed:
1. trains both stages end to end by one ELBO (experiments/table2_DATASET_baseline.gin);
2. for each distortion target, trains stage 1 for the least rate at it
   (experiments/table2_DATASET_stage1.gin), freezes it, and trains stage 2 by the ELBO on its
   reconstructions (experiments/table2_DATASET_stage2.gin);
3. draws samples of both and measures their Frechet and kernel distance to the train split.

The same command goes on where it stopped. Prints the table and writes RUN_DIR/results/table2.json,
RUN_DIR/images/table2.png and RUN_DIR/images/samples_seed_*.png.
"""

import os

from absl import flags

from pcvae.checks import check_folder
from pcvae.cli import command, early, shared_flags, step_process
from pcvae.cli.table_flags import define_table_flags, parse_seeds, read_experiment, shared_arguments
from pcvae.errors import UserError

KINDS = ("stage1", "stage2", "baseline")
OWN_MACROS = {
    "SEED": "see --seeds",
    "DISTORTION_TARGET_MSE": "see --targets",
    "FIRST_STAGE": "to the stage 1 that it has trained",
}


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-table2."""
    define_table_flags(values, "table2", KINDS)
    text = (
        "Distortion targets of stage 1, mean squared errors on [-1, 1]: the first for every seed, "
        "the others for the first seed alone, unless --all_targets is given."
    )
    flags.DEFINE_list("targets", "0.03,0.023,0.05", text, flag_values=values)
    text = "Train every target for every seed."
    flags.DEFINE_bool("all_targets", False, text, flag_values=values)
    text = "How many samples of each model are compared with as many images at the most."
    shared_flags.define(values, "num_samples", text, default=5000, lower_bound=2)
    text = "Whose features: synthetic (trained on drawn pictures), or a file; see pcvae-evaluate."
    shared_flags.define(values, "extractor", text, default="synthetic")


def run(values: flags.FlagValues) -> None:
    """Runs the steps for each seed, then makes the table."""
    seeds, targets = parse_seeds(values.seeds), _targets(values.targets)
    folder = values.run_dir or os.path.join("runs", f"table2-{values.dataset}")
    shared = {
        kind: shared_arguments(values, "table2", OWN_MACROS, constrained=kind == "stage1")
        for kind in KINDS
    }
    check_folder(folder, "--run_dir")
    early.check_extractor(values.extractor)
    runs = command.import_runs()
    from pcvae import studies  # only now: it takes TensorFlow

    models = {}
    for kind in KINDS:
        own = {"SEED": seeds[0]}
        own |= {"DISTORTION_TARGET_MSE": float(targets[0])} if kind == "stage1" else {}
        before = "the stage before" if kind == "stage2" else None
        name = f"table2_{values.dataset}_{kind}"
        read = read_experiment(runs, name, shared[kind], own, before)
        image_shape, model_fn = read["dataset"].image_shape, read["model_fn"]
        # By position: gin reads the stage from the disk, even where it is given by name.
        models[kind] = (
            model_fn(image_shape, models["stage1"]) if before else model_fn(image_shape=image_shape)
        )
    studies.check_parameters(models["stage2"], models["baseline"])
    models.clear()
    runs.find_extractor(values.extractor, image_shape)
    finished = {}
    # The first target of every seed comes first: the table of seeds is there before the sweep.
    order = [(seed, targets[:1]) for seed in seeds]
    if targets[1:]:
        order += [(seed, targets[1:]) for seed in (seeds if values.all_targets else seeds[:1])]
    for seed, own_targets in order:
        place = os.path.join(folder, f"seed_{seed}")

        def train(run_dir, kind, *arguments, seed=seed):
            experiment = f"experiments/table2_{values.dataset}_{kind}.gin"
            own = [f"--run_dir={run_dir}", f"--gin_file={experiment}", f"--gin.SEED={seed}"]
            step_process.run_step("train", [*own, *shared[kind], *arguments])

        if seed not in finished:
            finished[seed] = {"baseline": os.path.join(place, "baseline"), "stages": {}}
            train(finished[seed]["baseline"], "baseline")
        for target in own_targets:
            stages = {
                name: os.path.join(place, f"target_{target}", name) for name in ("stage1", "stage2")
            }
            train(stages["stage1"], "stage1", f"--gin.DISTORTION_TARGET_MSE={target}")
            train(stages["stage2"], "stage2", f"--first_stage={stages['stage1']}")
            finished[seed]["stages"][target] = stages
        studies.summarise_table2(
            folder=folder,
            dataset=values.dataset,
            run_dirs=finished,
            num_samples=values.num_samples,
            extractor=values.extractor,
        )


def _targets(texts):
    """Returns the targets as they were written, if they are different numbers above 0."""
    texts = [text.strip() for text in texts]
    try:
        numbers = [float(text) for text in texts]
    except ValueError as error:
        raise UserError(f"--targets: expected numbers, got {','.join(texts)}") from error
    fits = numbers and all(0.0 < number < 4.0 for number in numbers)
    if not fits or len(set(numbers)) < len(numbers):
        raise UserError(
            "--targets: expected different mean squared errors on [-1, 1], above 0 and below 4, "
            f"got {','.join(texts)}"
        )
    return texts


main = command.Command("table2", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
