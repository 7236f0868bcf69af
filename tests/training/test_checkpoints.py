import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.training.checkpoint_files import arrays_of
from pcvae.training.checkpoints import Checkpoints
from pcvae.training.newest_checkpoint import newest, read_group, read_newest
from pcvae.training.optimizers import AdamW
from pcvae.training.strategy import make_strategy
from pcvae.training.update import GradientUpdate
from tests.plain_user import permissions_hold


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
        from pcvae.training import read_group
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


@pytest.fixture
def two_saved(tmp_path):
    """Checkpoints of two steps, of other values each; (folder, checkpoints, variable)."""
    variable = tf.Variable(tf.zeros(1000))
    checkpoints = Checkpoints(tmp_path / "checkpoints", {"g": {"v": variable}})
    for step in (1, 2):
        variable.assign(tf.fill([1000], float(step)))
        checkpoints.save(step)
    return tmp_path / "checkpoints", checkpoints, variable


def _cut(path):
    path.write_bytes(path.read_bytes()[:40])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


INDEX, DATA = "index", "data-00000-of-00001"
LOST = {
    "cut index": (INDEX, _cut, "ckpt-2 is damaged"),
    "cut data": (DATA, _cut, "ckpt-2 is damaged"),
    "changed index": (INDEX, _flip, "ckpt-2 is damaged"),
    "changed data": (DATA, _flip, "ckpt-2 is damaged"),
    "empty index": (INDEX, lambda path: path.write_bytes(b""), "ckpt-2 is damaged"),
    "empty data": (DATA, lambda path: path.write_bytes(b""), "ckpt-2 is damaged"),
    "no index": (INDEX, lambda path: path.unlink(), "ckpt-2.index is missing"),
    "no data": (DATA, lambda path: path.unlink(), "ckpt-2.data-.* is missing"),
    "gone": (INDEX, lambda path: [p.unlink() for p in path.parent.glob("ckpt-2.*")], "is missing"),
}


@pytest.mark.parametrize(("suffix", "lose", "says"), LOST.values(), ids=LOST)
def test_what_is_lost_of_the_newest_is_told_and_the_one_before_is_taken(
    two_saved, capsys, suffix, lose, says
):
    folder, checkpoints, variable = two_saved
    lose(folder / f"ckpt-2.{suffix}")
    assert checkpoints.restore_newest() == 1
    assert variable.numpy()[0] == 1.0
    np.testing.assert_array_equal(read_group(folder, "g")["v"], np.ones(1000))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert re.search(says, line) and "ckpt-1, the one before" in line
        assert ("damaged" in line) == ("damaged" in says)
    for read in (
        lambda: checkpoints.restore_newest(fallback=False),
        lambda: read_group(folder, "g", fallback=False),
    ):
        with pytest.raises(UserError, match=f"{says}.*ckpt-1, which is taken without --no_fallb"):
            read()
    # The next one replaces what was lost, and nothing is told any more.
    checkpoints.save(2)
    assert checkpoints.restore_newest(fallback=False) == 2


def test_when_all_are_lost_nothing_starts_anew(two_saved):
    folder, checkpoints, _ = two_saved
    _flip(folder / f"ckpt-1.{DATA}")
    _flip(folder / f"ckpt-2.{DATA}")
    with pytest.raises(UserError, match="ckpt-2 is damaged.*ckpt-1 is damaged.*no older one"):
        checkpoints.restore_newest()
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="ckpt-2, the last one that was saved, is missing"):
        checkpoints.restore_newest()
    with pytest.raises(UserError, match="is missing"):
        read_group(folder, "g")


def test_what_a_run_fell_back_from_goes_when_it_has_saved_again(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", {"g": {"v": tf.Variable(tf.zeros(9))}}, max_to_keep=1)
    checkpoints.save(5)
    (tmp_path / "c" / "ckpt-9.index").write_bytes(b"damaged")
    (tmp_path / "c" / f"ckpt-9.{DATA}").write_bytes(b"damaged")
    (tmp_path / "c" / f"ckpt-3.{DATA}").write_bytes(b"left behind")
    assert checkpoints.restore_newest() == 5
    checkpoints.save(7)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [
        f"ckpt-7.{DATA}",
        "ckpt-7.index",
    ]


@pytest.mark.parametrize("name", [f"ckpt-2.{DATA}", "ckpt-2.index", ""])
def test_a_missing_permission_is_no_damage_and_no_older_one_is_taken(two_saved, name):
    folder, checkpoints, _ = two_saved
    mode = (folder / name).stat().st_mode
    (folder / name).chmod(0)
    with (
        permissions_hold(),
        pytest.raises(UserError, match="cannot be read.*Permission denied") as error,
    ):
        checkpoints.restore_newest()
    (folder / name).chmod(mode)
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("group", ["weights", "ema", "optimizer"])
def test_what_is_not_finite_is_named(tmp_path, capsys, group, value):
    state = make_state(steps=2)
    name, variable = next((n, v) for n, v in state[group].items() if len(v.shape))
    Checkpoints(tmp_path / "c", state).save(1)
    array = np.array(tf.convert_to_tensor(variable))
    array.flat[-1] = value
    variable.assign(array)
    checkpoints = Checkpoints(tmp_path / "c", state)
    checkpoints.save(2)
    for read in (checkpoints.restore_newest, lambda: read_group(tmp_path / "c", group)):
        with pytest.raises(UserError, match="ckpt-2: NaN or infinity in .*ckpt-1") as error:
            read()
        assert f"{group}/{name}" in str(error.value)
    capsys.readouterr()
    read_group(tmp_path / "c", "update")  # which is finite
    assert f"NaN or infinity in {group}/{name}, which training" in capsys.readouterr().err


def test_one_that_a_training_removes_meanwhile_gives_way_to_the_newest(two_saved, capsys):
    folder, checkpoints, variable = two_saved
    seen = []

    def read(path):
        seen.append(os.path.basename(path))
        if len(seen) == 1:
            for step in range(3, 7):
                variable.assign(tf.fill([1000], float(step)))
                checkpoints.save(step)
        return arrays_of(path, "g")["v"]

    path, value = read_newest(folder, read)
    assert seen == ["ckpt-2", "ckpt-6"] and path.endswith("ckpt-6")
    np.testing.assert_array_equal(value, np.full(1000, 6.0))
    assert capsys.readouterr().err == ""


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
    data.unlink()
    data.mkdir()  # stands for whatever cannot be opened
    for read in (checkpoints.restore_newest, lambda: read_group(tmp_path, "g")):
        with pytest.raises(UserError, match="cannot be read: .*ckpt-2.data-.*: Is a directory"):
            read()
