"""How many cases: 300 together, always the same; 3,000 of the seed by --hypothesis-profile=long."""

from hypothesis import HealthCheck, settings

_SHARED = {
    "deadline": None,  # promise.py has a limit, which fails a case and no slow machine
    "suppress_health_check": list(HealthCheck),
    "database": None,
}
settings.register_profile("short", max_examples=50, derandomize=True, **_SHARED)
settings.register_profile("long", max_examples=500, print_blob=True, **_SHARED)
settings.load_profile("short")
