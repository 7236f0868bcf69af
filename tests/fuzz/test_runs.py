"""Any damage to a run directory: the commands read it, or one line names what is wrong."""

import copy
import json
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcvae import runs
from pcvae.cli.commands import compare, describe
from pcvae.runs.report import write_report
from pcvae.runs.run_directory import RunDirectory
from tests.fuzz.promise import as_command, cases, outcome

RUN = Path(__file__).parents[1] / "goldens" / "run_0_1_0"
FILES = sorted(str(path.relative_to(RUN)) for path in RUN.rglob("*") if path.is_file())
RECORDS = [name for name in FILES if name.endswith(".json")]
odd_values = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 3, 10**30, -(10**30), 0.5, 1e300, "", "x", "4x4", "NaN", "test"])
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=3,
)


def set_somewhere(record, value, noise):
    """Puts a value in the place of another one, somewhere in a record; returns the record."""
    record = copy.deepcopy(record)
    here = record
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            return value
        key = noise.choice(keys)
        inner = here[key]
        if isinstance(inner, dict | list) and inner and noise.random() < 0.7:
            here = inner
        elif noise.random() < 0.2:
            del here[key]
            return record
        else:
            here[key] = value
            return record


def damage(folder, how, value, seed):
    """Changes a run directory in one way."""
    noise = random.Random(seed)
    path = Path(folder, noise.choice(RECORDS if how == "record" else FILES))
    content = path.read_bytes()
    if how == "record":
        record = set_somewhere(json.loads(content), value, noise)
        path.write_text(json.dumps(record))
    elif how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[: noise.randrange(len(content))])
    elif how == "changed":
        place = noise.randrange(len(content))
        path.write_bytes(content[:place] + noise.randbytes(3) + content[place + 3 :])
    elif how == "other":
        path.write_bytes(Path(RUN, noise.choice(FILES)).read_bytes())
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "link":
        path.unlink()
        path.symlink_to(noise.choice([path, "/dev/zero", "/nowhere", folder]))


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    """A run that nothing is wrong with."""
    return shutil.copytree(RUN, tmp_path_factory.mktemp("good") / "run")


# name -> what is called with the run, a good one beside it, and a folder for output
READERS = {
    "describe": lambda run, good, folder: (describe.main, [f"--run_dir={run}"]),
    "compare": lambda run, good, folder: (compare.main, [run, good, f"--output={folder}/page"]),
    "load": lambda run, good, folder: (as_command(lambda: runs.load(run)), []),
    "run": lambda run, good, folder: (as_command(lambda: RunDirectory(run).run()), []),
    "report": lambda run, good, folder: (as_command(lambda: write_report(run)), []),
}


@pytest.mark.slow
@cases(0.4)
@given(
    reader=st.sampled_from(sorted(READERS)),
    how=st.sampled_from(
        ["record", "record", "missing", "cut", "changed", "other", "folder", "link"]
    ),
    value=odd_values,
    seed=st.integers(0, 2**32),
)
def test_any_damage_to_a_run(good_run, module_eagerly, reader, how, value, seed):
    with tempfile.TemporaryDirectory() as folder:
        run_dir = str(Path(folder, "run"))
        shutil.copytree(RUN, run_dir)
        damage(run_dir, how, value, seed)
        main, argv = READERS[reader](run_dir, str(good_run), folder)
        outcome(main, argv, run_dir, [run_dir])
