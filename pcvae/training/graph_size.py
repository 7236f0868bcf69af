"""How large a traced graph is."""

import tensorflow as tf

from pcvae.tracing import nodes_of


def count_graph_nodes(graph: tf.Graph) -> int:
    """Returns the number of nodes of a `tf.Graph`, those of its functions included."""
    return sum(1 for _ in nodes_of(graph.as_graph_def()))
