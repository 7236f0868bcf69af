"""The VDVAE of Child 2020 once more, in NumPy and float64, from the names of openai/vdvae.

It shares no code with the package: layer strings are read here, too. Arrays are [batch, channels,
height, width], as in the reference.
"""

import math

import numpy as np


def read_blocks(string):
    """Returns [(resolution, factor or source or None)], one per block."""
    blocks = []
    for part in string.split(","):
        for sign in "xdm":
            if sign in part:
                resolution, number = map(int, part.split(sign))
                blocks += [(resolution, None)] * number if sign == "x" else [(resolution, number)]
                break
        else:
            blocks.append((int(part), None))
    return blocks


class Reference:
    """Random weights of an architecture, and its pass with latents from the posterior."""

    def __init__(self, arguments, seed):
        """Draws the weights; ``arguments`` are those of `VDVAE`."""
        self.encoder = read_blocks(arguments["encoder_blocks"])
        self.decoder = read_blocks(arguments["decoder_blocks"])
        self.image_size = arguments["image_shape"][0]
        self.base, self.zdim = arguments["width"], arguments["latent_width"]
        custom = arguments["width_per_resolution"]
        self.custom = {
            int(side): int(width)
            for side, width in (pair.split(":") for pair in custom.split(",") if pair)
        }
        self.random, self.weights = np.random.default_rng(seed), {}
        self._conv("encoder.in_conv", 3, self.base, 3)
        middle = arguments["bottleneck"]
        for index, (side, _) in enumerate(self.encoder):
            width = self._width(side)
            self._block(f"encoder.enc_blocks.{index}", side, width, int(width * middle), width)
        for index, (side, _) in enumerate(self.decoder):
            name, width = f"decoder.dec_blocks.{index}", self._width(side)
            for part, start, end in (
                ("enc", 2 * width, 2 * self.zdim),
                ("prior", width, 2 * self.zdim + width),
                ("resnet", width, width),
            ):
                self._block(f"{name}.{part}", side, start, int(width * middle), end)
            self._conv(f"{name}.z_proj", self.zdim, width, 1)
        with_bias = {side for side, _ in self.decoder if side <= arguments["no_bias_above"]}
        for index, side in enumerate(sorted(with_bias)):
            self._draw(f"decoder.bias_xs.{index}", (1, self._width(side), side, side))
        self._draw("decoder.gain", (1, self.base, 1, 1))
        self._draw("decoder.bias", (1, self.base, 1, 1))
        self._conv("decoder.out_net.out_conv", self.base, 10 * arguments["num_mixtures"], 1)

    def _width(self, side):
        return self.custom.get(side, self.base)

    def _draw(self, name, shape, scale=1.0):
        self.weights[name] = (scale * self.random.normal(size=shape)).astype(np.float32)

    def _conv(self, name, start, end, kernel):
        shape = (end, start, kernel, kernel)
        self._draw(f"{name}.weight", shape, 1.0 / math.sqrt(start * kernel * kernel))
        self._draw(f"{name}.bias", (end,), 0.1)

    def _block(self, name, side, start, middle, end):
        kernel = 3 if side > 2 else 1
        widths = (start, middle, middle, middle, end)
        for index, size in enumerate((1, kernel, kernel, 1)):
            self._conv(f"{name}.c{index + 1}", widths[index], widths[index + 1], size)

    def posterior_pass(self, images, noise):
        """Returns nats [batch, levels] and the parameters of the head [batch, side, side, n].

        Args:
            images: [batch, side, side, 3] in [-1, 1].
            noise: standard normals [batch, side, side, zdim], one array per level.
        """
        x = self._apply("encoder.in_conv", np.transpose(images, (0, 3, 1, 2)))
        activations = {self.image_size: x}
        for index, (side, factor) in enumerate(self.encoder):
            x = x + self._bottleneck(f"encoder.enc_blocks.{index}", x)
            if factor:
                side //= factor
                x = x.reshape(*x.shape[:2], side, factor, side, factor).mean((3, 5))
            wider = self._width(side) - x.shape[1]
            x = np.pad(x, ((0, 0), (0, wider), (0, 0), (0, 0)))
            activations[side] = x
        streams = {
            array.shape[2]: array.repeat(len(images), 0)
            for name, array in self.weights.items()
            if "bias_xs" in name
        }
        rates = []
        for index, (side, source) in enumerate(self.decoder):
            name, z = f"decoder.dec_blocks.{index}", self.zdim
            x = streams.get(side, np.zeros_like(activations[side]))
            if source:
                coarse = streams[source][:, : x.shape[1]]
                x = x + coarse.repeat(side // source, 2).repeat(side // source, 3)
            q = self._bottleneck(f"{name}.enc", np.concatenate([x, activations[side]], axis=1))
            p = self._bottleneck(f"{name}.prior", x)
            q_mean, q_log_std, p_mean, p_log_std = q[:, :z], q[:, z:], p[:, :z], p[:, z : 2 * z]
            ratio = (np.exp(2 * q_log_std) + (q_mean - p_mean) ** 2) / np.exp(2 * p_log_std)
            rates.append((p_log_std - q_log_std + 0.5 * ratio - 0.5).sum((1, 2, 3)))
            latent = q_mean + np.exp(q_log_std) * np.transpose(noise[index], (0, 3, 1, 2))
            x = x + p[:, 2 * z :] + self._apply(f"{name}.z_proj", latent)
            streams[side] = x + self._bottleneck(f"{name}.resnet", x)
        features = streams[self.image_size] * self.weights["decoder.gain"]
        params = self._apply("decoder.out_net.out_conv", features + self.weights["decoder.bias"])
        return np.stack(rates, axis=1), np.transpose(params, (0, 2, 3, 1))

    def _apply(self, name, x):
        kernel, side = self.weights[f"{name}.weight"].astype(np.float64), x.shape[2]
        border = kernel.shape[2] // 2
        padded = np.pad(x, ((0, 0), (0, 0), (border, border), (border, border)))
        parts = [
            np.einsum("oi,nihw->nohw", kernel[:, :, i, j], padded[:, :, i : i + side, j : j + side])
            for i in range(kernel.shape[2])
            for j in range(kernel.shape[2])
        ]
        return sum(parts) + self.weights[f"{name}.bias"][None, :, None, None]

    def _bottleneck(self, name, x):
        for index in range(1, 5):
            x = self._apply(f"{name}.c{index}", _gelu(x))
        return x


def _gelu(x):
    return 0.5 * x * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0)))
