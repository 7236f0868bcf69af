"""Numbers that say how good a hierarchical VAE is."""

from pcvae.measure.averaging import extractor_views
from pcvae.measure.constraints import TRAIN_LONGER, ConstraintResult, constraint_results
from pcvae.measure.decomposition import (
    DecomposedSamples,
    decompose,
    decomposed_prefix,
    decomposition_lines,
)
from pcvae.measure.extractor_files import as_extractor, file_sha256
from pcvae.measure.features import FeatureExtractor, collect_features, collect_views
from pcvae.measure.frechet import FeatureStatistics, frechet_distance, kernel_distance, validity
from pcvae.measure.health import (
    DEAD_LEVEL_NATS,
    Finding,
    TrainingSeries,
    health_findings,
    health_lines,
    health_summary,
)
from pcvae.measure.importance import ImportanceWeightedEvaluation
from pcvae.measure.legibility import legible_shares
from pcvae.measure.level_rates import level_rows, mean_rate_by_resolution
from pcvae.measure.level_table import level_table
from pcvae.measure.likelihood import LikelihoodEvaluation, headline, mean_with_error
from pcvae.measure.lpips import LPIPS
from pcvae.measure.perceptual import PerceptualEvaluation
from pcvae.measure.rate_distortion import rate_by_resolution, rate_distortion_curve
from pcvae.measure.single_prefix import single_prefix

__all__ = [
    "ConstraintResult",
    "DecomposedSamples",
    "DEAD_LEVEL_NATS",
    "FeatureExtractor",
    "FeatureStatistics",
    "Finding",
    "ImportanceWeightedEvaluation",
    "LPIPS",
    "LikelihoodEvaluation",
    "PerceptualEvaluation",
    "TRAIN_LONGER",
    "TrainingSeries",
    "as_extractor",
    "collect_features",
    "collect_views",
    "constraint_results",
    "decompose",
    "decomposed_prefix",
    "decomposition_lines",
    "extractor_views",
    "file_sha256",
    "frechet_distance",
    "headline",
    "health_findings",
    "health_lines",
    "health_summary",
    "kernel_distance",
    "legible_shares",
    "level_rows",
    "level_table",
    "mean_rate_by_resolution",
    "mean_with_error",
    "rate_by_resolution",
    "rate_distortion_curve",
    "single_prefix",
    "validity",
]
