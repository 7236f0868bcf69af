"""Sources of images, their splits and their order; uint8 throughout."""

from pcvae.data.arrays import ArrayImages
from pcvae.data.cache import cache_root, content_hash
from pcvae.data.dataset import ImageDataset
from pcvae.data.folder import FolderImages
from pcvae.data.lsun import LSUNImages
from pcvae.data.nuisances import with_nuisances
from pcvae.data.order import batch_indices, chosen_indices
from pcvae.data.pipeline import training_batches
from pcvae.data.read import read_images, read_upload
from pcvae.data.spec import from_spec, lasting_spec, named_options
from pcvae.data.synthetic import DRAWING_VERSION, SyntheticImages, draw_picture
from pcvae.data.tfds_images import TFDSImages

__all__ = [
    "DRAWING_VERSION",
    "ArrayImages",
    "FolderImages",
    "ImageDataset",
    "LSUNImages",
    "SyntheticImages",
    "TFDSImages",
    "batch_indices",
    "cache_root",
    "chosen_indices",
    "content_hash",
    "draw_picture",
    "from_spec",
    "lasting_spec",
    "named_options",
    "read_images",
    "read_upload",
    "training_batches",
    "with_nuisances",
]
