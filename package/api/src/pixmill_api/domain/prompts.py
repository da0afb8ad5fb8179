"""What an image model is told."""

from typing import Final

_STYLE: Final = (
    "Natural light, shallow depth of field, appetizing colours, the whole dish in the frame on simple tableware, "
    "a plain background. No text, no letters, no watermark, no people."
)
_PLAIN: Final = "One clear picture of it, in good light, on a plain background. No text, no letters, no watermark."


def dish_prompt(*, english: str = "", japanese: str = "", description: str = "", category: str = "") -> str:
    """Of something on a menu that has at least one of the two names."""
    english, japanese = english.strip(), japanese.strip()
    name = f"{english} ({japanese})" if english and japanese and english != japanese else english or japanese
    return _joined(
        f"Professional food photography of {name}, as a restaurant serves it.",
        f"Section of the menu: {category.strip()}." if category.strip() else "",
        _sentence(description),
        _STYLE,
    )


def thing_prompt(name: str, *, description: str = "", category: str = "") -> str:
    """Of anything else."""
    kind = f" ({category.strip()})" if category.strip() else ""
    return _joined(f"A photograph of {name.strip()}{kind}.", _sentence(description), _PLAIN)


def _sentence(text: str) -> str:
    found = " ".join(text.split())
    return found if not found or found[-1] in ".!?。！？" else f"{found}."


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
