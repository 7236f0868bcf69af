"""The experiments of the paper: what several finished runs say together, as tables and plots."""

from pcvae.studies.gaussian import gaussian_study
from pcvae.studies.sweep import finished_runs_of_sweep, summarise_sweep
from pcvae.studies.table1 import check_prefix, measured_rate_nats_per_dim, summarise_table1
from pcvae.studies.table2 import check_parameters, summarise_table2

__all__ = [
    "check_parameters",
    "check_prefix",
    "finished_runs_of_sweep",
    "gaussian_study",
    "measured_rate_nats_per_dim",
    "summarise_sweep",
    "summarise_table1",
    "summarise_table2",
]
