"""What image models are told of dishes and other things."""

from hypothesis import example, given
from hypothesis import strategies as st

from pixmill_api.domain.prompts import dish_prompt, thing_prompt
from pixmill_api.thing_schemas import MOST_CATEGORY, MOST_DESCRIPTION, MOST_NAME, MOST_PROMPT


def test_dish_is_named_in_both_languages_with_all_that_is_known() -> None:
    found = dish_prompt(english="Edamame", japanese="枝豆", description="Young soybeans,\n with salt", category="前菜")
    assert found.startswith("Professional food photography of Edamame (枝豆), as a restaurant serves it. ")
    assert "Section of the menu: 前菜. Young soybeans, with salt. " in found
    assert "No text" in found


def test_dish_with_one_name_has_no_brackets_and_no_empty_sentences() -> None:
    for names in (
        {"japanese": "枝豆"},
        {"english": "枝豆", "japanese": "枝豆"},
        {"english": " ", "japanese": " 枝豆 "},
    ):
        found = dish_prompt(**names)
        assert found.startswith("Professional food photography of 枝豆, as a restaurant serves it. Natural light")


def test_description_that_is_a_sentence_stays_one() -> None:
    for sentence in ("Fresh.", "新鮮。", "Really?"):
        assert f" {sentence} " in dish_prompt(english="x", description=sentence)


def test_thing_is_named_with_its_category() -> None:
    assert thing_prompt("Chair", category="Garden", description="green").startswith(
        "A photograph of Chair (Garden). green. One clear picture"
    )
    assert thing_prompt("Chair").startswith("A photograph of Chair. One")


@example("x" * MOST_NAME, "x" * MOST_DESCRIPTION, "x" * MOST_CATEGORY)
@given(st.text(max_size=MOST_NAME), st.text(max_size=MOST_DESCRIPTION), st.text(max_size=MOST_CATEGORY))
def test_prompt_that_is_made_is_no_longer_than_one_that_is_sent(name: str, description: str, category: str) -> None:
    dish = dish_prompt(english=name, japanese=f"{name[1:]}豆", description=description, category=category)
    assert len(dish) <= MOST_PROMPT
    assert len(thing_prompt(name, description=description, category=category)) <= MOST_PROMPT
