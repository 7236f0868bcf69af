"""Makes lpips_{alex,vgg}.npz: the reference's distances for narrow networks of random weights.

Needs torch, torchvision and lpips, in an environment of its own; made with torch 2.14.1,
torchvision 0.29.1 and lpips 0.1.4. No weights are fetched. The code path is that of the published
package: its networks with fewer channels a convolution, its scaling, normalisation, linear layers
and averages.

    python tests/goldens/make_lpips.py
"""

from pathlib import Path

import lpips
import numpy as np
import torch

WIDTHS = {"alex": [8, 12, 10, 6, 7], "vgg": [4, 5, 6, 7, 8]}
SIDES = {"alex": (35, 48), "vgg": (32, 41)}  # odd ones, too: pools and strides round down


def narrow(reference, widths):
    """Replaces every convolution by one with fewer channels, the same otherwise."""
    slices = [getattr(reference.net, f"slice{index}") for index in range(1, 6)]
    width_in = 3
    for part, width in zip(slices, widths, strict=True):
        for name, layer in part.named_children():
            if isinstance(layer, torch.nn.Conv2d):
                options = {"stride": layer.stride, "padding": layer.padding}
                new = torch.nn.Conv2d(width_in, width, layer.kernel_size, **options)
                setattr(part, name, new)
                width_in = width
    for index, width in enumerate(widths):
        lin = getattr(reference, f"lin{index}")
        lin.model[-1] = torch.nn.Conv2d(width, 1, 1, bias=False)


def main():
    for network, widths in WIDTHS.items():
        torch.manual_seed(0)
        reference = lpips.LPIPS(net=network, pretrained=False, pnet_rand=True, verbose=False)
        narrow(reference, widths)
        for name, parameter in reference.named_parameters():
            if name.startswith("lin"):
                parameter.data.abs_()  # as the published ones are
            elif name.endswith("weight"):
                parameter.data.mul_(2.0)  # so that signals do not fade with depth
        height, width = SIDES[network]
        first, second = (2.0 * torch.rand(3, 3, height, width) - 1.0 for _ in range(2))
        second[1] = first[1] + 0.1 * second[1]
        second[2] = first[2]
        with torch.no_grad():
            distance, layers = reference(first, second, retPerLayer=True)
        state = {
            f"weight/{name}": parameter.detach().numpy()
            for name, parameter in reference.named_parameters()
            if not name.startswith("lins.")
        }
        np.savez(
            Path(__file__).parent / f"lpips_{network}.npz",
            first=first.permute(0, 2, 3, 1).numpy(),
            second=second.permute(0, 2, 3, 1).numpy(),
            distance=distance.flatten().numpy(),
            per_layer=torch.stack([layer.flatten() for layer in layers]).numpy(),
            **state,
        )
        print(network, distance.flatten().tolist(), sorted(state))


if __name__ == "__main__":
    main()
