"""What describe and train say of memory."""

import json
import re

import pytest

from pcvae import models, objectives, training
from pcvae.errors import UserError
from pcvae.memory import memory_limit_bytes
from pcvae.runs import describe, describe_run
from pcvae.runs.step_memory import memory_line, memory_warning
from tests.models import tiny


def test_the_table_ends_with_the_estimate_of_the_images_in_work():
    model = tiny.vdvae()

    def line(**arguments):
        return describe(model_fn=lambda: model, **arguments).split("\n\n")[-1]

    memory = models.training_memory(model, 4_000_000)
    shares = [memory.peak, memory.process, memory.state, memory.step]
    for arguments in ({"batch_size": 4_000_000}, {"batch_size": 8_000_000, "micro_batches": 2}):
        text = line(**arguments)
        batches = re.search(r"batches of (\d+)", text)
        assert int(batches[1]) == arguments["batch_size"]
        assert re.findall(r"\d+\.\d\d", text)[:4] == [f"{share / 1e9:.2f}" for share in shares]
    assert "memory" not in line()


def test_a_run_is_estimated_as_it_was_trained(tmp_path):
    model = tiny.vdvae()
    models.write_model(model, tmp_path / "model.json")

    def line(run, **arguments):
        (tmp_path / "run.json").write_text(json.dumps({"data": None, "batch_size": 12, **run}))
        return describe_run(run_dir=tmp_path, **arguments).split("\n\n")[-1]

    assert line({"steps": 1, "micro_batches": 3}) == memory_line(model, 12, 3)
    assert line({"steps": 1, "micro_batches": 3}, batch_size=6) == memory_line(model, 6, 3)
    assert line({"steps": 1}) == memory_line(model, 12)  # of an older version
    assert "memory" not in line({})  # imported
    assert line({}, batch_size=6) == memory_line(model, 6)


def test_parts_that_do_not_fit_are_refused_as_in_training():
    for count in (3, 0):
        with pytest.raises(UserError, match=f"micro_batches={count}: expected a divisor of the 4"):
            memory_line(None, batch_size=4, micro_batches=count)


def test_a_warning_comes_where_far_more_is_needed_than_there_is():
    with training.make_strategy("one_device").scope():
        model = tiny.vdvae()
        trainer = training.Trainer(
            model,
            model.twin(),
            objectives.NegativeELBO(),
            training.GradientUpdate(training.AdamW()),
            micro_batches=2,
        )

    def batch_of(share):
        """Returns a batch size whose estimate is a share of the memory."""
        of_two = models.training_memory(model, 10**6)
        of_one_byte = 2 * 10**6 / of_two.step
        return int((share * memory_limit_bytes() - of_two.process) * of_one_byte) // 2 * 2

    [line] = memory_warning(trainer, batch_of(1.5))
    assert line.startswith(f"warning: training in batches of {batch_of(1.5)} takes about ")
    assert memory_warning(trainer, batch_of(1.0)) == []
