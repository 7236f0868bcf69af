"""Graphs run as traced inside of a block; what a user has set stands again after it."""

import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from pcvae.tracing import graphs_as_traced, nodes_of


def is_off():
    return tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)


@pytest.mark.parametrize("before", [False, True])
def test_the_option_of_before_comes_back_also_after_an_error(before):
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})
    try:
        with pytest.raises(ZeroDivisionError), graphs_as_traced():
            assert is_off()
            raise ZeroDivisionError
        assert is_off() == before
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


def test_plain_graphs_are_rewritten(monkeypatch):
    monkeypatch.setenv("PCVAE_PLAIN_GRAPHS", "1")
    with graphs_as_traced():
        assert not is_off()


def test_a_graph_that_runs_is_not_rewritten():
    """Two equal products run twice, of which rewriting leaves one."""

    @tf.function(autograph=False)
    def twice(x):
        return tf.matmul(x, x), tf.matmul(x, x)

    def products():
        context.context().enable_run_metadata()
        twice(tf.ones((2, 2)))
        metadata = context.context().export_run_metadata()
        context.context().disable_run_metadata()
        graphs = [group.post_optimization_graph for group in metadata.function_graphs]
        return sum(node.op == "MatMul" for graph in graphs for node in nodes_of(graph))

    assert products() == 1
    with graphs_as_traced():
        assert products() == 2
