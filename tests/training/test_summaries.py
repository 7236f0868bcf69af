import json
import os
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from pcvae import quantities
from pcvae.errors import UserError
from pcvae.training.summaries import ScalarLog, read_scalar_lines


def events(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return accumulator


def scalar_events(folder, tag):
    return [
        (event.step, float(tf.make_ndarray(event.tensor_proto)))
        for event in events(folder).Tensors(tag)
    ]


def test_the_tags_are_those_of_the_contract():
    assert quantities.rate_of_resolution_tag(8) == "rate/resolution_008"
    assert quantities.rate_of_level_tag(17) == "rate/level_017_nats"
    assert quantities.samples_tag(1) == "images/samples_t1.0"
    assert quantities.samples_tag(0.85) == "images/samples_t0.85"


# TensorFlow takes the second one for a pattern, and cannot encode the third.
@pytest.mark.parametrize("name", ["plain", "a[1]\\", os.fsdecode(b"caf\xe9")], ids=ascii)
def test_scalars_stand_in_events_and_lines(tmp_path, name):
    real = tmp_path / name
    tmp_path = tmp_path / "link"
    real.mkdir()
    tmp_path.symlink_to(real)
    log = ScalarLog(real, "train")
    log.scalars(10, {quantities.NLL.tag: tf.constant(3.5), "optimizer/gradient_norm": 7})
    log.scalars(20, {quantities.NLL.tag: np.float32(2.5)})
    assert read_scalar_lines(tmp_path / "train.jsonl") == [
        {"step": 10, "nll/bits_per_dim": 3.5, "optimizer/gradient_norm": 7.0},
        {"step": 20, "nll/bits_per_dim": 2.5},
    ]
    log.close()
    assert scalar_events(tmp_path / "train", "nll/bits_per_dim") == [(10, 3.5), (20, 2.5)]


def test_a_value_that_is_not_finite_is_null(tmp_path):
    log = ScalarLog(tmp_path, "train")
    log.scalars(1, {"a": float("nan"), "b": float("-inf"), "c": 1.0})
    log.close()
    text = (tmp_path / "train.jsonl").read_text()
    assert json.loads(text) == {"step": 1, "a": None, "b": None, "c": 1.0}
    assert "NaN" not in text and "Infinity" not in text


def test_a_second_call_at_a_step_adds_to_its_line(tmp_path):
    log = ScalarLog(tmp_path, "eval")
    log.scalars(1, {"a": 0.0})
    log.scalars(5, {"a": 1.0, "b": 2.0})
    log.scalars(5, {"b": 3.0, "c": 4.0})
    log.scalars(6, {"a": 5.0})
    log.close()
    lines = read_scalar_lines(tmp_path / "eval.jsonl")
    assert lines[1] == {"step": 5, "a": 1.0, "b": 3.0, "c": 4.0}
    assert [line["step"] for line in lines] == [1, 5, 6]


def test_steps_do_not_go_back(tmp_path):
    log = ScalarLog(tmp_path, "train")
    log.scalars(5, {"a": 1.0})
    with pytest.raises(ValueError, match="step 4"):
        log.scalars(4, {"a": 1.0})


def test_resuming_drops_later_steps_and_a_torn_line(tmp_path):
    log = ScalarLog(tmp_path, "train")
    for step in (10, 20, 30, 40):
        log.scalars(step, {"a": float(step)})
    log.close()
    with open(tmp_path / "train.jsonl", "a") as file:
        file.write('{"step": 50, "a"')

    time.sleep(1.1)  # event files are read in the order of their names, which count seconds
    log = ScalarLog(tmp_path, "train", resume_step=20)
    for step in (30, 40, 50):
        log.scalars(step, {"a": -float(step)})
    log.close()
    expected = [(10, 10.0), (20, 20.0), (30, -30.0), (40, -40.0), (50, -50.0)]
    lines = read_scalar_lines(tmp_path / "train.jsonl")
    assert [(line["step"], line["a"]) for line in lines] == expected
    assert scalar_events(tmp_path / "train", "a") == expected


def test_images_and_text(tmp_path):
    log = ScalarLog(tmp_path, "train")
    images = np.random.default_rng(0).integers(0, 256, size=(5, 6, 7, 3), dtype=np.uint8)
    log.images(3, quantities.samples_tag(1.0), images)
    log.images(3, "images/one", images[0])
    log.text(0, quantities.CONFIGURATION, "    train.steps = 10")
    log.close()
    found = events(tmp_path / "train")
    width, height, *encoded = tf.make_ndarray(found.Tensors("images/samples_t1.0")[0].tensor_proto)
    assert (int(width), int(height), len(encoded)) == (7, 6, 5)
    for image, png in zip(images, encoded, strict=True):
        np.testing.assert_array_equal(tf.io.decode_png(png), image)
    assert len(tf.make_ndarray(found.Tensors("images/one")[0].tensor_proto)) == 3
    text = tf.make_ndarray(found.Tensors("configuration")[0].tensor_proto).item()
    assert text == b"    train.steps = 10"


@pytest.mark.parametrize("images", [np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.uint8)])
def test_images_of_another_kind_are_refused(tmp_path, images):
    with pytest.raises(ValueError, match="uint8"):
        ScalarLog(tmp_path, "train").images(0, "x", images)


def test_only_the_chief_writes(tmp_path):
    log = ScalarLog(tmp_path / "summaries", "train", chief=False)
    log.scalars(1, {"a": 1.0})
    log.images(1, "x", np.zeros((2, 2, 3), np.uint8))
    log.text(1, "t", "text")
    log.flush()
    log.close()
    assert not (tmp_path / "summaries").exists()


def test_all_workers_know_what_was_written_up_to_where_they_resume(tmp_path):
    log = ScalarLog(tmp_path, "train")
    for step in (1, 2, 4):
        log.scalars(step, {"a": 1.0})
    log.close()
    for chief in (False, True):
        resumed = ScalarLog(tmp_path, "train", resume_step=3, chief=chief)
        assert [resumed.has(step) for step in (1, 2, 3)] == [True, True, False]
        resumed.close()


@pytest.mark.parametrize("line", ["[1]", '{"a": 2}', "step 3"])
def test_a_broken_line_is_named(tmp_path, line):
    (tmp_path / "train.jsonl").write_text('{"step": 1}\n' + line + "\n")
    with pytest.raises(UserError, match="train.jsonl: line 2"):
        ScalarLog(tmp_path, "train")
