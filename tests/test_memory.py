"""What a process may take is the least of the limits that hold for it."""

import resource
import subprocess
import sys

import pytest

from pcvae.memory import memory_limit_bytes


@pytest.fixture
def whole(tmp_path):
    return memory_limit_bytes(tmp_path, tmp_path / "nothing")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {"memory.max": "1000\n"}, 1000),
        ("0::/a/b", {"a/b/memory.max": "max\n", "a/memory.max": "2000\n"}, 2000),
        ("0::/a/b", {"a/b/memory.max": "1000\n", "a/memory.max": "2000\n"}, 1000),
        ("0::/of/the/host", {"memory.max": "3000\n"}, 3000),
        ("5:cpu,memory:/a\n4:cpu:/b", {"memory/a/memory.limit_in_bytes": "4000\n"}, 4000),
        ("5:memory:/of/the/host", {"memory/memory.limit_in_bytes": "5000\n"}, 5000),
        ("0::/", {"memory.max": "max\n"}, None),
        ("0::/", {}, None),
    ],
)
def test_the_least_limit_of_its_groups_holds(own, files, expected, whole, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text(own)
    found = memory_limit_bytes(tmp_path, tmp_path / "own")
    assert found == (whole if expected is None else expected)


def test_the_limit_of_a_shell_holds():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, -1));"
        "from pcvae.memory import memory_limit_bytes; print(memory_limit_bytes())"
    )
    assert resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert int(result.stdout) == 2**31, result.stderr
