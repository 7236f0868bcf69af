import os
import subprocess
import sys
import tempfile
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.training.checkpoint_files import newest, read_group
from pcvae.training.checkpoints import Checkpoints
from pcvae.training.optimizers import AdamW
from pcvae.training.strategy import make_strategy
from pcvae.training.update import GradientUpdate


def make_state(strategy=None, steps=0):
    """Returns the groups of a small training state after some updates."""
    strategy = strategy or make_strategy("one_device")
    with strategy.scope():
        variables = {
            "decoder/level.0/kernel": keras.Variable(np.float32([[1.0, 2.0], [3.0, 4.0]])),
            "gain": tf.Variable([0.1, 0.2, 0.3]),
        }
        update = GradientUpdate(AdamW(0.1, warmup_steps=0))
        update.build(variables)

    def one_update(step):
        scale = 1.0 / strategy.num_replicas_in_sync
        grads = [scale * tf.cos(step + tf.cast(tf.range(n), tf.float32)) for n in (4, 3)]
        update.apply([tf.reshape(grads[0], [2, 2]), grads[1]])

    for step in range(steps):
        strategy.run(one_update, args=(tf.constant(float(step)),))
    return {"weights": variables, **update.state}


def arrays(state):
    return {
        f"{group}/{name}": np.array(tf.convert_to_tensor(variable))
        for group, items in state.items()
        for name, variable in items.items()
    }


def assert_bit_identical(got, expected):
    assert {k: v.tobytes() for k, v in got.items()} == {k: v.tobytes() for k, v in expected.items()}


def test_nothing_to_restore_is_none(tmp_path):
    assert Checkpoints(tmp_path / "none", make_state()).restore_newest() is None


def test_round_trip_into_fresh_variables(tmp_path):
    state = make_state(steps=3)
    Checkpoints(tmp_path, state).save(3)
    fresh = make_state()
    assert Checkpoints(tmp_path, fresh).restore_newest() == 3
    assert_bit_identical(arrays(fresh), arrays(state))


def test_mirrored_is_restored_on_one_device_and_back(tmp_path):
    mirrored = make_strategy("mirrored", ("CPU:0", "CPU:1"))
    state = make_state(mirrored, steps=3)
    Checkpoints(tmp_path, state).save(3)
    single = make_state()
    assert Checkpoints(tmp_path, single).restore_newest() == 3
    assert_bit_identical(arrays(single), arrays(state))

    Checkpoints(tmp_path, single).save(4)
    again = make_state(mirrored)
    assert Checkpoints(tmp_path, again).restore_newest() == 4
    gain = again["weights"]["gain"]
    for copy in mirrored.experimental_local_results(gain):
        np.testing.assert_array_equal(copy.numpy(), single["weights"]["gain"].numpy())


@pytest.mark.slow
def test_a_new_process_reads_the_same_bits(tmp_path):
    state = make_state(steps=4)
    Checkpoints(tmp_path, state).save(4)
    code = f"""
        import numpy as np
        from pcvae.training.checkpoint_files import read_group
        arrays = {{}}
        for group in {list(state)}:
            for name, value in read_group({str(tmp_path)!r}, group).items():
                arrays[f"{{group}}/{{name}}"] = value
        np.savez({str(tmp_path / "read.npz")!r}, **arrays)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
    with np.load(tmp_path / "read.npz") as read:
        assert_bit_identical({name: read[name] for name in read.files}, arrays(state))


def test_names_with_dots_and_slashes_come_back(tmp_path):
    names = ["a/b", "a.b", "a..b", "a.Sb", "/x/", "S.S", "plain"]
    Checkpoints(tmp_path, {"g": {n: tf.Variable(float(i)) for i, n in enumerate(names)}}).save(0)
    assert read_group(tmp_path, "g") == {name: float(i) for i, name in enumerate(names)}


def test_objects_with_variables_of_their_own_are_kept(tmp_path):
    def module(value):
        made = tf.Module()
        made.x = tf.Variable(value)
        return made

    Checkpoints(tmp_path, {"multiplier": {"rate": module(2.0)}}).save(1)
    fresh = module(0.0)
    assert Checkpoints(tmp_path, {"multiplier": {"rate": fresh}}).restore_newest() == 1
    assert fresh.x.numpy() == 2.0
    other = tf.Module()
    other.y = tf.Variable(1.0)
    with pytest.raises(UserError, match="does not fit"):
        Checkpoints(tmp_path, {"multiplier": {"rate": other}}).restore_newest()


def test_only_the_newest_stay(tmp_path):
    variable = tf.Variable(0.0)
    checkpoints = Checkpoints(tmp_path, {"g": {"v": variable}}, max_to_keep=2)
    for step in (5, 50, 100, 1000):
        variable.assign(step)
        checkpoints.save(step)
    assert sorted(p.name for p in tmp_path.glob("*.index")) == ["ckpt-100.index", "ckpt-1000.index"]
    assert len(list(tmp_path.iterdir())) == 4
    assert read_group(tmp_path, "g")["v"] == 1000.0


def test_an_interrupted_save_leaves_the_one_before(tmp_path):
    checkpoints = Checkpoints(tmp_path, {"g": {"v": tf.Variable(1.0)}})
    checkpoints.save(1)
    checkpoints.save(2)
    # What is on disk when a process dies before the index, the last file, has got its name.
    (tmp_path / ".partial").mkdir()
    (tmp_path / "ckpt-2.index").rename(tmp_path / ".partial" / "ckpt-2.index")
    for number in ("²", "x", "-1", ""):
        (tmp_path / f"ckpt-{number}.index").write_bytes(b"")
    assert newest(tmp_path).endswith("ckpt-1")
    assert checkpoints.restore_newest() == 1
    checkpoints.save(2)
    assert checkpoints.restore_newest() == 2 and not (tmp_path / ".partial").exists()


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_named_with_the_remedy(tmp_path, suffix):
    state = {"g": {"v": tf.Variable(tf.range(1000.0))}}
    checkpoints = Checkpoints(tmp_path, state)
    checkpoints.save(1)
    checkpoints.save(2)
    path = tmp_path / f"ckpt-2.{suffix}"
    path.write_bytes(path.read_bytes()[:40])
    for read in (checkpoints.restore_newest, lambda: read_group(tmp_path, "g")):
        with pytest.raises(UserError, match=r"ckpt-2 is damaged.*ckpt-1") as error:
            read()
        assert "\n" not in str(error.value)
    for file in tmp_path.glob("ckpt-2.*"):
        file.unlink()
    assert checkpoints.restore_newest() == 1


def test_flipped_bytes_are_found(tmp_path):
    checkpoints = Checkpoints(tmp_path, {"g": {"v": tf.Variable(tf.range(1000.0))}})
    checkpoints.save(1)
    path = tmp_path / "ckpt-1.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match="ckpt-1 is damaged; start in a new .*: there is no older"):
        checkpoints.restore_newest()
    with pytest.raises(UserError, match="ckpt-1 is damaged"):
        read_group(tmp_path, "g")


def test_what_does_not_fit_is_listed_and_nothing_is_restored(tmp_path):
    saved = {"a": tf.Variable([1.0, 1.0]), "gone": tf.Variable(1.0), "same": tf.Variable(1.0)}
    Checkpoints(tmp_path, {"g": saved}).save(1)
    other = {"a": tf.Variable([0.0]), "new": tf.Variable(0.0), "same": tf.Variable(0.0)}
    with pytest.raises(UserError) as error:
        Checkpoints(tmp_path, {"g": other}).restore_newest()
    message = str(error.value)
    assert "missing in the file: g/new" in message and "unknown here: g/gone" in message
    assert "g/a [2] instead of [1]" in message and "g/same" not in message
    assert other["same"].numpy() == 0.0


def test_reading_asks_for_what_is_there(tmp_path):
    with pytest.raises(UserError, match="no checkpoint in"):
        read_group(tmp_path, "ema")
    Checkpoints(tmp_path, {"weights": {"v": tf.Variable(1.0)}}).save(1)
    with pytest.raises(UserError, match="no group 'ema'; it has weights"):
        read_group(tmp_path, "ema")


def test_a_worker_that_is_not_the_chief_leaves_nothing(tmp_path):
    directory = tmp_path / "checkpoints"
    Checkpoints(directory, {"g": {"v": tf.Variable(1.0)}}, chief=False).save(1)
    assert not directory.exists()


def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not be written") as error:
        Checkpoints(tmp_path / "file" / "checkpoints", {"g": {"v": tf.Variable(1.0)}}).save(1)
    assert "\n" not in str(error.value)


def test_one_variable_in_two_places_is_refused():
    variable = tf.Variable(1.0)
    with pytest.raises(ValueError, match="one group"):
        Checkpoints("unused", {"a": {"v": variable}, "b": {"v": variable}})


# What TensorFlow would take for a pattern, and what it could not encode.
ODD_NAMES = ["lr[1e-3] a", "a*b", "a?", "a\\b", "100%d", "-a", "naïve", os.fsdecode(b"caf\xe9")]


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_a_folder_of_any_name_is_written_and_read(tmp_path, name, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    folder = tmp_path / name / "checkpoints"
    state = make_state(steps=3)
    Checkpoints(folder, state, max_to_keep=1).save(2)
    Checkpoints(folder, state, max_to_keep=1).save(3)
    fresh = make_state()
    assert Checkpoints(folder, fresh).restore_newest() == 3
    assert_bit_identical(arrays(fresh), arrays(state))
    np.testing.assert_array_equal(read_group(folder, "weights")["gain"], state["weights"]["gain"])
    assert len(list(folder.iterdir())) == 2
    assert not list((tmp_path / "temporary").iterdir())


def test_damage_is_said_of_nothing_else(tmp_path):
    checkpoints = Checkpoints(tmp_path, {"g": {"v": tf.Variable(tf.range(1000.0))}})
    checkpoints.save(1)
    checkpoints.save(2)
    data = tmp_path / "ckpt-2.data-00000-of-00001"
    data.rename(tmp_path / "away")
    with pytest.raises(UserError, match=r"not whole: ckpt-2.data-\* is missing.* from ckpt-1"):
        checkpoints.restore_newest()
    data.mkdir()  # stands for whatever cannot be opened
    with pytest.raises(UserError, match="cannot be read: .*ckpt-2.data-.*: Is a directory"):
        read_group(tmp_path, "g")
