"""Recipes: the frozen type, its canonical form and hash (``model``), its steps (``operations``), and reading one from
JSON (``parsing``).
"""

from pixmill_shared.domain.recipe.limits import MAX_DIMENSION, MAX_OPERATIONS, MAX_OUTPUTS, Limits
from pixmill_shared.domain.recipe.model import (
    DEFAULT_MIN_SSIM,
    PROCESS_OUTPUT,
    Effort,
    MetadataPolicy,
    Output,
    OutputFormat,
    Recipe,
    default_quality,
    recipe_hash,
)
from pixmill_shared.domain.recipe.operations import (
    FILTERS,
    OPERATIONS,
    Autocontrast,
    Blur,
    Brightness,
    Contrast,
    Grayscale,
    Invert,
    Operation,
    Resize,
    ResizeMode,
    Saturation,
    Sepia,
    Sharpen,
)
from pixmill_shared.domain.recipe.parsing import RecipeError, parse_recipe, process_recipe
from pixmill_shared.domain.recipe.schema import RECIPE_SCHEMA

__all__ = [
    "DEFAULT_MIN_SSIM",
    "FILTERS",
    "MAX_DIMENSION",
    "MAX_OPERATIONS",
    "MAX_OUTPUTS",
    "OPERATIONS",
    "PROCESS_OUTPUT",
    "RECIPE_SCHEMA",
    "Autocontrast",
    "Blur",
    "Brightness",
    "Contrast",
    "Effort",
    "Grayscale",
    "Invert",
    "Limits",
    "MetadataPolicy",
    "Operation",
    "Output",
    "OutputFormat",
    "Recipe",
    "RecipeError",
    "Resize",
    "ResizeMode",
    "Saturation",
    "Sepia",
    "Sharpen",
    "default_quality",
    "parse_recipe",
    "process_recipe",
    "recipe_hash",
]
