"""Pictures, plots and pages of what was measured. Nothing here knows a class of model."""

from pcvae.show import matplotlib_import  # noqa: F401 - before who needs it
from pcvae.show.curves import Line, Panel, curve_plot
from pcvae.show.edits import BELOW, interpolate, lerp, slerp, swap, traverse
from pcvae.show.gaussian_plot import gaussian_plot
from pcvae.show.grids import (
    captioned_grid,
    conditional_grid,
    displayable,
    image_grid,
    labelled_rows,
    original_label,
    png_bytes,
    prefix_grid,
    prefix_label,
    refit_grid,
    rows_of_conditions,
    save_png,
)
from pcvae.show.pages import inline_svg, picture, render_page, settings, write_page
from pcvae.show.plots import frechet_plot, rate_by_resolution_plot, rate_distortion_plot
from pcvae.show.progressive import (
    bits_per_pixel_maps,
    progressive_reconstructions,
    progressive_samples,
    rate_map_plot,
    reconstruction_picture,
    sample_picture,
)

__all__ = [
    "BELOW",
    "Line",
    "Panel",
    "bits_per_pixel_maps",
    "captioned_grid",
    "conditional_grid",
    "curve_plot",
    "displayable",
    "frechet_plot",
    "gaussian_plot",
    "image_grid",
    "inline_svg",
    "interpolate",
    "labelled_rows",
    "lerp",
    "original_label",
    "picture",
    "png_bytes",
    "prefix_grid",
    "prefix_label",
    "progressive_reconstructions",
    "progressive_samples",
    "rate_by_resolution_plot",
    "rate_distortion_plot",
    "rate_map_plot",
    "reconstruction_picture",
    "refit_grid",
    "render_page",
    "rows_of_conditions",
    "sample_picture",
    "save_png",
    "settings",
    "slerp",
    "swap",
    "traverse",
    "write_page",
]
