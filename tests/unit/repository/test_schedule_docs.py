"""The table of the schedule in the documentation is what the schedule says."""

from tools.schedule_docs import TARGET, document


def test_table_is_what_the_schedule_says() -> None:
    text = TARGET.read_text()
    assert text == document(text), "run .venv/bin/python tools/schedule_docs.py"


def test_a_table_that_differs_is_noticed() -> None:
    text = TARGET.read_text()
    changed = text.replace("| heartbeat |", "| heart |")
    assert changed != text
    assert document(changed) == text
