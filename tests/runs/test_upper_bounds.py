"""Where rates of prefixes are shown, those of a model that infers upwards are called bounds."""

import json

import numpy as np
import pytest

from pcvae import measure, models, runs, show
from pcvae.measure.health import health_findings
from pcvae.quantities import IS_UPPER_BOUND, UPPER_BOUNDS
from tests.models import tiny
from tests.runs.untrained_run import write_run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]


@pytest.fixture
def model():
    sizes = {"latent_widths": (2, 3), "widths": (5, 6), "head": "gaussian", "bit_depth": 8}
    return tiny.random_weights(models.BottomUpVAE(tiny.IMAGE_SHAPE, **sizes))


def legend(curves):
    """Returns the texts of the legend of the plot of some curves."""
    texts = show.rate_distortion_plot(
        curves, output=lambda figure: [text.get_text() for text in figure.legends[0].texts]
    )
    return "; ".join(texts)


def test_tables_curves_and_pictures_say_it(model):
    images = tiny.random_images(4)
    assert UPPER_BOUNDS in measure.level_table(model)
    rows = measure.rate_distortion_curve(model, images)
    assert [(row["num_levels"], row[IS_UPPER_BOUND]) for row in rows] == [
        (2, False),
        (1, True),
        (2, False),
    ]
    assert "upper bounds" in legend({"run": rows})
    columns = show.progressive_reconstructions(model, images)
    assert [column[IS_UPPER_BOUND] for column in columns] == [False]
    exact = tiny.vdvae(head="gaussian")
    assert UPPER_BOUNDS not in measure.level_table(exact)
    rows = measure.rate_distortion_curve(exact, images)
    assert not any(IS_UPPER_BOUND in row for row in rows)
    assert "upper bounds" not in legend({"run": rows})


def test_a_stage_that_infers_upwards_makes_bounds_of_the_whole(model):
    staged = models.StagedVAE([model, tiny.next_stage([model], head="gaussian")])
    assert not staged.rates_of_prefixes_are_exact
    assert UPPER_BOUNDS in measure.level_table(staged)


def test_a_report_tells_bounds_and_calls_no_level_dead():
    record = {"rate_nats_per_level": [-1.0, 5.0], "rate_nats_per_level_stderr": [0.1, 0.1]}
    bounds = {**record, "rates_of_prefixes_are_exact": False}
    rows = {
        name: measure.level_rows(which, (4, 4, 3), (1, 1))
        for name, which in (("exact", record), ("bounds", bounds))
    }
    assert rows["exact"][0]["remark"] == "dead" and rows["bounds"][0]["remark"] == ""
    texts = [row["prefix_bits_per_dim"].startswith("<= ") for row in rows["bounds"]]
    assert texts == [True, False]
    names = {finding.name for finding in health_findings(bounds, (1, 1))}
    assert "dead levels" in {finding.name for finding in health_findings(record, (1, 1))} - names


def test_the_command_says_it(model, tmp_path, capsys):
    np.savez(tmp_path / "images.npz", train=tiny.random_images(6), test=tiny.random_images(4))
    run_dir = write_run(tmp_path / "run", tmp_path / "images.npz", model=model)
    runs.rate_distortion(run_dir=run_dir)
    printed = capsys.readouterr().out
    assert printed.count(UPPER_BOUNDS) == 1 and printed.count("<= ") == 2
    rows = json.loads((run_dir / "results" / "rate_distortion.json").read_text())
    assert [row[IS_UPPER_BOUND] for row in rows] == [False, True, False]
