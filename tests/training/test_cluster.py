"""TF_CONFIG: what is taken, and that all else is one line that says what it must hold."""

import json

import pytest

from pcvae.errors import UserError
from pcvae.training.cluster import Cluster, read_cluster
from pcvae.training.strategy import make_strategy

TWO = {"worker": ["127.0.0.1:23451", "127.0.0.1:23452"]}
FIRST = {"type": "worker", "index": 0}


def set_config(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config if isinstance(config, str) else json.dumps(config))


@pytest.mark.parametrize(
    ("config", "cluster"),
    [
        ("", Cluster(())),
        ("{}", Cluster(())),
        ({"cluster": {}, "task": {}}, Cluster(())),
        ({"cluster": {"worker": ["a:1"]}}, Cluster(("a:1",))),
        ({"cluster": {"worker": ["a:1"]}, "task": FIRST}, Cluster(("a:1",), "a:1")),
        (
            {"cluster": TWO, "task": FIRST, "rpc_layer": "grpc"},
            Cluster((*TWO["worker"],), TWO["worker"][0]),
        ),
        (
            {
                "cluster": {"worker": {"1": "b:2", "0": "[::1]:1"}, "chief": ["c-1.d:3"]},
                "task": {"type": "worker", "index": "1"},
            },
            Cluster(("c-1.d:3", "[::1]:1", "b:2"), "b:2", has_chief=True),
        ),
        (
            {
                "cluster": {"chief": ["c:3"], "worker": ["a:1"], "evaluator": ["e:1"]},
                "task": {"type": "chief", "index": 0},
            },
            Cluster(("c:3", "a:1"), "c:3", has_chief=True),
        ),
    ],
)
def test_what_tensorflow_can_use_is_taken(monkeypatch, config, cluster):
    set_config(monkeypatch, config)
    assert read_cluster() == cluster


def test_workers_have_the_names_of_their_tasks():
    assert [Cluster(("a:1", "b:1")).name(index) for index in (0, 1)] == ["worker 0", "worker 1"]
    cluster = Cluster(("a:1", "b:1", "c:1"), has_chief=True)
    assert [cluster.name(index) for index in range(3)] == ["chief 0", "worker 0", "worker 1"]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("{\n", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("[1]", "it is no JSON object"),
        ({"cluster": 3}, "'cluster' is no JSON object of jobs"),
        ({"cluster": [1]}, "'cluster' is no JSON object of jobs"),
        ({"cluster": {"worker": "a:1"}}, "'worker' in 'cluster' is no list"),
        ({"cluster": {"worker": ["a:1", 2]}}, "2 of 'worker' in 'cluster' is no address host:port"),
        ({"cluster": {"worker": ["a", "b:2"]}}, "'a' of 'worker' in 'cluster' is no address"),
        ({"cluster": {"worker": ["a:0", "b:2"]}}, "'a:0' of 'worker' in 'cluster' is no address"),
        ({"cluster": {"worker": ["a:1", "b:65536"]}}, "'b:65536' of 'worker'"),
        ({"cluster": {"worker": ["a:1", "..:1"]}}, "'..:1' of 'worker' in 'cluster' is no address"),
        ({"cluster": {"worker": ["a:1", f"{'b' * 64}:1"]}}, "b:1' of 'worker' in 'cluster' is no"),
        ({"task": FIRST}, "'cluster' is missing"),
        ({"cluster": TWO, "task": FIRST, "rpc_layer": "tcp"}, "'rpc_layer' is 'tcp', not 'grpc'"),
        ({"cluster": {"worker": {"0": "a:1", "2": "b:1"}}}, "indices of 'worker' .* not 0 to 1"),
        ({"cluster": {"worker": ["a:1", "a:1"]}, "task": FIRST}, "a:1 stands twice"),
        ({"cluster": {"chief": ["a:1", "b:1"]}, "task": FIRST}, "more than one chief"),
        ({"cluster": TWO}, "'task' is missing"),
        ({"cluster": TWO, "task": 3}, "'task' is no JSON object"),
        ({"cluster": TWO, "task": {}}, "'task' has no 'type' and no 'index'"),
        ({"cluster": TWO, "task": {"type": "worker"}}, "'task' has no 'index'"),
        ({"cluster": TWO, "task": {"index": 0}}, "'task' has no 'type'"),
        ({"cluster": TWO, "task": {**FIRST, "index": 2}}, "index of 'task' is 2, .* has 0 to 1"),
        ({"cluster": TWO, "task": {**FIRST, "index": -1}}, "index of 'task' is -1, no whole"),
        ({"cluster": TWO, "task": {**FIRST, "index": True}}, "index of 'task' is True, no whole"),
        ({"cluster": TWO, "task": {**FIRST, "index": 0.5}}, "index of 'task' is 0.5, no whole"),
        ({"cluster": TWO, "task": {**FIRST, "type": "master"}}, "type of 'task' is 'master'"),
        ({"cluster": TWO, "task": {**FIRST, "type": "chief"}}, "type of 'task' is 'chief'"),
        ({"cluster": TWO, "task": {**FIRST, "type": [1]}}, "type of 'task' is \\[1\\]"),
        ({"cluster": {**TWO, "ps": ["p:1"]}, "task": {"type": "ps", "index": 0}}, "is 'ps', not"),
    ],
)  # fmt: skip
def test_everything_else_is_one_line_that_says_what_it_must_hold(monkeypatch, config, says):
    set_config(monkeypatch, config)
    for kind in ("auto", "multi_worker"):
        with pytest.raises(
            UserError, match=f"^TF_CONFIG: .*{says}.*; expected {{.cluster.: "
        ) as error:
            make_strategy(kind)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 500
