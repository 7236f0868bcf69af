"""Exports: a trained model as a SavedModel, and such a one read with care."""

from pcvae.export.reading import ExportedModel, load_export
from pcvae.export.saved_model import WEIGHTS_DTYPES, export_model

__all__ = ["WEIGHTS_DTYPES", "ExportedModel", "export_model", "load_export"]
