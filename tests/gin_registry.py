"""Gin's registry for tests that fill it: each starts from nothing but gin's own names."""

import gin
import pytest
from gin import selector_map


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """Gives a test gin's registry as it is at first: nothing but gin's own names in it."""
    registry = selector_map.SelectorMap()
    inverse = {}
    for selector, configurable in gin.config._REGISTRY.items():
        if selector.startswith("gin."):
            registry[selector] = configurable
            inverse[configurable.wrapped] = configurable
    gin.clear_config()
    monkeypatch.setattr(gin.config, "_REGISTRY", registry)
    monkeypatch.setattr(gin.config, "_INVERSE_REGISTRY", inverse)
    yield
    gin.clear_config()
