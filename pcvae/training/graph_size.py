"""How large a traced graph is."""

import operator

import tensorflow as tf


def count_graph_nodes(graph: tf.Graph) -> int:
    """Returns the number of nodes of a `tf.Graph`, those of its functions included."""
    nodes, functions = operator.attrgetter("node", "library.function")(graph.as_graph_def())
    return len(nodes) + sum(len(function.node_def) for function in functions)
