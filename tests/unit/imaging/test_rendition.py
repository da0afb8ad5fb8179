"""A rendition's address changes with all that decides it, and with nothing else."""

import pytest

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.domain.rendition import ENGINE_VERSION, engine_name, rendition_key
from pixmill_imaging.settings import ImagingSettings, LoaderChoice
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import ConfigurationError, PermanentError


def test_key_depends_on_source_recipe_and_engine():
    keys = {
        rendition_key(*parts)
        for parts in [("s", "r", "vips-1"), ("t", "r", "vips-1"), ("s", "q", "vips-1"), ("s", "r", "pillow-1")]
    }
    assert len(keys) == 4
    assert rendition_key("s", "r", "vips-1") == rendition_key("s", "r", "vips-1")
    assert all(len(key) == 64 for key in keys)


def test_engine_names_loader_and_version():
    assert engine_name("vips") == f"vips-{ENGINE_VERSION}"


def test_limits_are_inclusive():
    limits = PixelLimits(source=100, output=50)
    limits.check_source(Size(10, 10))
    limits.check_output("web", Size(5, 10))
    for check in (lambda: limits.check_source(Size(101, 1)), lambda: limits.check_output("web", Size(51, 1))):
        with pytest.raises(PermanentError) as caught:
            check()
        assert caught.value.code is ErrorCode.TOO_MANY_PIXELS


def test_settings_have_defaults_and_names(monkeypatch):
    assert ImagingSettings.load() == ImagingSettings(
        loader=LoaderChoice.AUTO, max_source_pixels=100_000_000, max_output_pixels=100_000_000
    )
    monkeypatch.setenv("PIXMILL_IMAGING_LOADER", "imagemagick")
    monkeypatch.setenv("PIXMILL_MAX_SOURCE_PIXELS", "0")
    with pytest.raises(ConfigurationError) as caught:
        ImagingSettings.load()
    assert "PIXMILL_IMAGING_LOADER" in str(caught.value)
    assert "PIXMILL_MAX_SOURCE_PIXELS" in str(caught.value)
