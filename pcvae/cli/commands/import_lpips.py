"""Turns the published weights of LPIPS into the one file that pcvae-evaluate takes.

Usage:
  pcvae-import-lpips --backbone=alexnet-owt-7be5be79.pth --lins=alex.pth --output=lpips_alex.npz
  pcvae-evaluate --run_dir=runs/quickstart --perceptual=lpips --lpips_weights=lpips_alex.npz

--backbone is torchvision's AlexNet or VGG-16 trained on ImageNet, --lins the linear layers that
come with the package lpips (lpips/weights/v0.1/alex.pth or vgg.pth). Nothing is fetched. A .pth
file is read by PyTorch's loader of nothing but weights (pip install 'pcvae[import]'); an .npz of
the same names needs no PyTorch.
"""

from absl import flags

from pcvae.cli import command, shared_flags
from pcvae.errors import UserError


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-import-lpips."""
    text = "The network trained on ImageNet: a state dict in .pth, or its tensors in an .npz."
    flags.DEFINE_string("backbone", None, text, flag_values=values)
    text = "The linear layers trained on human judgements: .pth or .npz."
    flags.DEFINE_string("lins", None, text, flag_values=values)
    shared_flags.define(values, "output")


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then converts."""
    for name in ("backbone", "lins", "output"):
        if not values[name].value:
            raise UserError(f"--{name} is missing: {values[name].help}")
    command.require_output(values.output, (".npz",))
    command.import_runs().import_lpips(
        backbone=values.backbone, lins=values.lins, output=values.output
    )


main = command.Command("import_lpips", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
