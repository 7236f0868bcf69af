"""Makes Keras know the package's classes by ``import pcvae`` alone, which imports no Keras.

TensorFlow takes seconds to import, and `pcvae-train --help` needs none of it, so that the rooms are
imported when they are first used. But `keras.saving.load_model` asks Keras for a class by its name.
There a stand-in waits for each, which imports the class and hands its work to it; once imported,
the class has the stand-in's place.
"""

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

PREFIX = "pcvae>"
# {room: the names of what it registers with Keras}; a test compares it with what they register.
NAMES = {
    "pcvae.layers": (
        *("BernoulliHead", "BottleneckBlock", "DeterministicLevel", "Encoder", "Gate"),
        *("GaussianFloorHead", "GaussianHead", "GivenLatentLevel", "LabelMaps", "LadderCell"),
        *(
            "LinearCell",
            "LinearHead",
            "LogisticMixtureHead",
            "NVAECell",
            "NVAEDecoderBlock",
            "NVAEEncoderBlock",
        ),
        *("PointwiseConv2D", "Readout", "SqueezeAndExcitation", "Stack", "TopDown", "VDVAECell"),
    ),
    "pcvae.measure": ("LPIPS",),
    # With the layers that single models bring.
    "pcvae.models": (
        *("BottomUpCell", "BottomUpVAE", "ConditionalVDVAE", "ConvolutionalBottomUpVAE", "DDPM"),
        *("DenseCell", "DenseLadderCell", "DenseLadderVAE", "FixedGaussianHead", "HiddenLayers"),
        *("LadderVAE", "NVAE", "PrefixDecoders", "SelfAttention", "StagedVAE", "TimedBlock"),
        *("UNet", "VDVAE"),
    ),
}


def register_with_keras() -> None:
    """Registers stand-ins: now, or as soon as Keras is imported."""
    if "keras" in sys.modules:
        _register(sys.modules["keras"])
    else:
        sys.meta_path.insert(0, _WaitForKeras())


def _register(keras):
    for room, names in NAMES.items():
        for name in names:
            if keras.saving.get_registered_object(PREFIX + name) is None:
                register = keras.saving.register_keras_serializable(PREFIX.rstrip(">"), name)
                register(_stand_in(keras, room, name))


def _stand_in(keras, room, name):
    class StandIn:
        """Imports the class that it stands in for."""

        @classmethod
        def from_config(cls, config):
            importlib.import_module(room)
            # Not by `get_registered_object`: while Keras loads, that keeps what it saw first.
            return keras.saving.get_custom_objects()[PREFIX + name].from_config(config)

        def get_config(self):
            raise NotImplementedError  # asked for by Keras; there is no instance

    return StandIn


class _WaitForKeras(importlib.abc.MetaPathFinder):
    """Finds Keras as Python would, and registers what is there for it when it is loaded."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenRegister(spec.loader)
        return spec


class _ThenRegister(importlib.abc.Loader):
    """Loads Keras by its own loader, then registers."""

    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # What asks the module for its loader finds its own.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _register(module)
