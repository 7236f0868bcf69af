"""Python imports this at its start: what TensorFlow would compile then runs op by op.

For processes that a command starts with two steps to take: making graphs is most of their time.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

tf.config.run_functions_eagerly(True)
