"""A small model's arguments and a batch spread over replicas, for tests of single steps."""

import tensorflow as tf

ARGUMENTS = {
    "image_shape": (8, 8, 3),
    "encoder_blocks": "8x1,8d2,4d4,1x1",
    "decoder_blocks": "1x1,4m1,4x1,8m4",
    "width": 8,
    "latent_width": 2,
    "num_mixtures": 2,
}
BATCH_SIZE = 4


def distributed(strategy, images):
    """Returns images as a batch of the trainers, an equal part for each replica."""
    local = len(images) // strategy.num_replicas_in_sync

    def part(context):
        first = context.replica_id_in_sync_group * local
        return {
            "images": tf.constant(images[first : first + local]),
            "first_example": tf.constant(first, tf.int64),
        }

    return strategy.experimental_distribute_values_from_function(part)
