"""A small network that says what a drawn street number shows; its last layer gives features.

Ours. It stands in for a published network where there is none at hand: it is in the domain of the
synthetic pictures, and nothing else recommends it. It learns what a picture was drawn from, the
digits as much as colours, light and blur, so that a difference in any of them moves the features.
A variant that is not asked for the blur, and learns from pictures with random nuisances, sees what
a picture shows and is blind to its texture.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from pcvae import units

NUM_FEATURES = 96
MAX_DIGITS, NO_DIGIT = 3, 10
_MEASURES = 9  # wall, ink: 3 each; light: 2; blur, the last: 1
_WIDTHS = (32, 48, 64)  # of maps finer than 8x8, up to 8x8, and up to 4x4


def build_classifier(image_size: int, seed: int, sees_blur: bool = True) -> keras.Model:
    """Builds the network with fresh weights.

    Args:
        image_size: side of the pictures, 16 or more.
        seed: integer; equal seeds give equal weights.
        sees_blur: whether it says how blurred a picture is.

    Returns:
        A Keras model from uint8 or float [batch, image_size, image_size, 3] in 0..255 to
        ``features`` [batch, 96], ``digits`` logits [batch, 3, 11], ``plate`` logits [batch, 1] and
        ``measures`` [batch, 9], the last of them the blur, or [batch, 8] without it.
    """
    seeds = np.random.default_rng(seed)

    def start(initializer):
        return initializer(seed=int(seeds.integers(2**31)))

    def convolution(x, width, strides):
        layer = keras.layers.Conv2D(
            width,
            3,
            strides,
            "same",
            data_format="channels_last",
            activation="gelu",
            kernel_initializer=start(keras.initializers.HeNormal),
            # Names are part of a network's hash: none may hang on what was built before.
            name=f"convolution_{-(-x.shape[1] // strides)}",
        )
        return layer(x)

    def dense(x, width, name, activation=None):
        kernel = start(keras.initializers.GlorotUniform)
        return keras.layers.Dense(width, activation, kernel_initializer=kernel, name=name)(x)

    images = keras.Input((image_size, image_size, 3), name="images")
    x = keras.layers.Rescaling(1 / units.HALF_RANGE, -1.0, name="signed")(images)
    # Beyond 32x32 the finest maps would take most of the time.
    x = convolution(x, _WIDTHS[0], strides=1 if image_size <= 32 else 2)
    while x.shape[1] > 4:
        side = -(-x.shape[1] // 2)
        x = convolution(x, _WIDTHS[2] if side <= 4 else _WIDTHS[1] if side <= 8 else _WIDTHS[0], 2)
    x = keras.layers.Flatten("channels_last", name="flat")(x)
    features = dense(x, NUM_FEATURES, "features", activation="gelu")
    digits = dense(features, MAX_DIGITS * (NO_DIGIT + 1), "flat_digits")
    digits = keras.layers.Reshape((MAX_DIGITS, NO_DIGIT + 1), name="digits")(digits)
    outputs = {
        "features": features,
        "digits": digits,
        "plate": dense(features, 1, "plate"),
        "measures": dense(features, _MEASURES if sees_blur else _MEASURES - 1, "measures"),
    }
    return keras.Model(images, outputs, name="synthetic_classifier")


def targets_of(pictures: Sequence) -> dict[str, np.ndarray]:
    """Returns what the network is to say, {name of an output: array}.

    Args:
        pictures: records with ``digits``, ``plate``, ``wall``, ``ink``, ``light`` and ``blur``, as
            `data.draw_picture` returns them.
    """
    digits = np.full((len(pictures), MAX_DIGITS), NO_DIGIT, np.int32)
    for row, picture in zip(digits, pictures, strict=True):
        row[: len(picture.digits)] = [int(digit) for digit in picture.digits]
    measures = [
        [*(picture.wall / 64.0 - 2.0), *(picture.ink / 64.0 - 2.0)]
        + [10.0 * slope for slope in picture.light]
        + [160.0 * picture.blur - 1.75]
        for picture in pictures
    ]
    plates = [[picture.plate is not None] for picture in pictures]
    return {
        "digits": digits,
        "plate": np.array(plates, np.float32),
        "measures": np.array(measures, np.float32),
    }


def train_classifier(
    classifier: keras.Model,
    images: np.ndarray,
    targets: Mapping[str, np.ndarray],
    seed: int,
    epochs: int,
    batch_size: int = 64,
    progress: Callable | None = None,
    changed: Callable | None = None,
) -> None:
    """Trains the network on the CPU, where equal seeds give equal weights, bit by bit.

    Args:
        classifier: of `build_classifier`.
        images: uint8 [num_images, image_size, image_size, 3].
        targets: of `targets_of`.
        seed: of the order of the images.
        epochs: passes over the images.
        batch_size: images a step.
        progress: None, or a function that wraps the list of steps it iterates over.
        changed: None, or a function (images, random generator) -> images, what is learnt from in
            place of a batch each time.
    """
    rng = np.random.default_rng(seed)
    steps_each = len(images) // batch_size
    orders = [rng.permutation(len(images))[: steps_each * batch_size] for _ in range(epochs)]
    orders = np.concatenate(orders).reshape(-1, batch_size)
    with tf.device("CPU:0"):
        rates = keras.optimizers.schedules.CosineDecay(
            0.0, len(orders), warmup_target=2e-3, warmup_steps=len(orders) // 20
        )
        optimizer = keras.optimizers.Adam(rates)
        optimizer.build(classifier.trainable_variables)

        @tf.function(autograph=False)
        def step(batch, wanted):
            with tf.GradientTape() as tape:
                loss = classification_loss(classifier(batch, training=True), wanted)
            gradients = tape.gradient(loss, classifier.trainable_variables)
            optimizer.apply_gradients(zip(gradients, classifier.trainable_variables, strict=True))

        for indices in progress(orders) if progress else orders:
            batch = images[indices] if changed is None else changed(images[indices], rng)
            wanted = {name: tf.constant(array[indices]) for name, array in targets.items()}
            step(tf.constant(batch), wanted)


def classification_loss(
    outputs: Mapping[str, tf.Tensor], targets: Mapping[str, tf.Tensor]
) -> tf.Tensor:
    """Returns the loss: cross entropies of digits and plate, and squared error of the rest."""
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits
    digits = cross_entropy(targets["digits"], outputs["digits"])
    plate = tf.nn.sigmoid_cross_entropy_with_logits(targets["plate"], outputs["plate"])
    known = outputs["measures"].shape[-1]  # what it is not asked for stands at the end
    measures = tf.square(outputs["measures"] - targets["measures"][:, :known])
    return (
        tf.reduce_mean(tf.reduce_sum(digits, axis=1))
        + tf.reduce_mean(plate)
        + tf.reduce_mean(tf.reduce_sum(measures, axis=1))
    )


def share_of_numbers_read(
    classifier: keras.Model, images: np.ndarray, targets: Mapping[str, np.ndarray]
) -> float:
    """Returns the share of pictures whose digits are all right, their number included."""
    digits = classifier.predict(images, batch_size=256, verbose=0)["digits"].argmax(axis=-1)
    return float((digits == targets["digits"]).all(axis=1).mean())


def feature_model(classifier: keras.Model, images: np.ndarray, reads: bool = False) -> keras.Model:
    """Returns the network up to its features, scaled to a mean variance of 1 on some images.

    The scale makes distances readable: features of pictures have a covariance of trace 96.

    Args:
        classifier: of `build_classifier`, trained.
        images: uint8 [num_images, image_size, image_size, 3].
        reads: whether the outputs are a dict of ``features`` [batch, 96] and ``certainty``
            [batch, 3], the probability of the likeliest digit, or of none, at each place.
    """
    whole = keras.Model(classifier.input, classifier.output["features"])
    features = whole.predict(images, batch_size=256, verbose=0).astype(np.float64)
    scale = float(1.0 / np.sqrt(features.var(axis=0).mean()))
    scaled = keras.layers.Rescaling(scale, name="unit_variance")(whole.output)
    if not reads:
        return keras.Model(whole.input, scaled, name="synthetic_features")
    probabilities = keras.layers.Softmax(name="probabilities")(classifier.output["digits"])
    largest = keras.layers.GlobalMaxPooling1D("channels_first", name="certainty")
    outputs = {"features": scaled, "certainty": largest(probabilities)}
    return keras.Model(whole.input, outputs, name="synthetic_reader")
