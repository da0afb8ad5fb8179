"""Recipes: the frozen type, its canonical form and hash (``model``); reading one from JSON (``parsing``)."""

from pixmill_shared.domain.recipe.model import (
    PROCESS_OUTPUT,
    Blur,
    FilterName,
    Grayscale,
    Limits,
    MetadataPolicy,
    Operation,
    Output,
    OutputFormat,
    Recipe,
    Resize,
    ResizeMode,
    Sharpen,
    default_quality,
    recipe_hash,
)
from pixmill_shared.domain.recipe.parsing import RecipeError, parse_recipe, process_recipe

__all__ = [
    "PROCESS_OUTPUT",
    "Blur",
    "FilterName",
    "Grayscale",
    "Limits",
    "MetadataPolicy",
    "Operation",
    "Output",
    "OutputFormat",
    "Recipe",
    "RecipeError",
    "Resize",
    "ResizeMode",
    "Sharpen",
    "default_quality",
    "parse_recipe",
    "process_recipe",
    "recipe_hash",
]
