"""How far a rendering is, by what it has done so far."""

from pixmill_imaging.domain.percent import FETCHED, RenderProgress, begun


def told(outputs: int, expected: int, steps: int) -> list[float]:
    heard: list[float] = []
    progress = RenderProgress(heard.append, 30)
    progress.begin()
    progress.expect(outputs, expected)
    for _ in range(outputs):
        for _ in range(steps):
            progress.step()
        progress.output_made()
    return heard


def test_upload_begins_at_nothing_and_what_was_fetched_where_fetching_ended() -> None:
    assert (begun({"upload_id": "x"}), begun({"url": "x"}), begun({"key": "x"})) == (0, FETCHED, FETCHED)


def test_it_only_grows_and_ends_below_a_hundred_however_many_steps_come() -> None:
    for steps in (0, 1, 7, 1_000):
        heard = told(outputs=4, expected=28, steps=steps)
        assert heard == sorted(heard)
        assert (heard[0], heard[-1]) == (30, 99)


def test_an_output_is_an_equal_share() -> None:
    assert told(outputs=3, expected=3, steps=0) == [30, 53, 76, 99]


def test_half_of_the_expected_steps_is_less_than_an_output() -> None:
    assert told(outputs=1, expected=10, steps=10)[10] == 30 + 69 / 2
