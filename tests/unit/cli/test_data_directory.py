"""Where the data is, what is kept there, and what is said where it cannot be."""

import base64
import io
import os
import pwd
import stat
from pathlib import Path

import pytest

from pixmill.errors import DataDirError
from pixmill.local.credentials import Credentials
from pixmill.local.datadir import DataDir
from pixmill.local.logs import LogSink
from pixmill.settings import base_port, default_data_dir


def test_the_default_is_where_users_keep_data(tmp_path: Path) -> None:
    assert default_data_dir({"HOME": str(tmp_path)}) == tmp_path / ".local/share/pixmill"
    assert default_data_dir({"HOME": "/nowhere", "XDG_DATA_HOME": "/data"}) == Path("/data/pixmill")


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "", "XDG_DATA_HOME": "relative"}])
def test_without_a_home_variable_the_user_database_says(environ: dict[str, str]) -> None:
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert default_data_dir(environ) == Path(home) / ".local/share/pixmill"


def test_a_home_that_does_not_exist_is_not_made() -> None:
    assert default_data_dir({"HOME": "/nonexistent"}).name == f"pixmill-{os.getuid()}"


def test_the_port_of_the_environment_is_the_apis() -> None:
    assert base_port({"PIXMILL_PORT": "9000"}) == 9000
    assert base_port({}) is None


def test_secrets_are_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    first = Credentials.load_or_create(tmp_path)
    assert Credentials.load_or_create(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]


def test_two_stacks_share_no_secret() -> None:
    one, two = vars(Credentials.generate()), vars(Credentials.generate())
    assert not set(one.values()) & set(two.values())
    assert len(set(one.values())) == len(one)


def test_the_webhook_secret_has_the_form_of_the_standard() -> None:
    prefix, _, encoded = Credentials.generate().webhook_secret.partition("_")
    assert (prefix, len(base64.b64decode(encoded))) == ("whsec", 24)


def test_secrets_do_not_show_in_a_log() -> None:
    credentials = Credentials.generate()
    assert credentials.redis not in repr(credentials)


@pytest.mark.parametrize("content", ["", "[]", "{}", "not json"])
def test_a_damaged_secrets_file_is_said_and_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(DataDirError, match="damaged"):
        Credentials.load_or_create(tmp_path)
    assert (tmp_path / "secrets.json").read_text() == content


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirError, match=rf"Cannot write to the data directory {tmp_path}/file/data.*--data-dir"):
        DataDir(tmp_path / "file" / "data").prepare()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(DataDirError, match="Permission denied"):
        DataDir(tmp_path / "closed" / "data").prepare()


def test_a_directory_is_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        DataDir(tmp_path / "data").prepare()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o750)
    DataDir(tmp_path / "data").prepare()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o750


def test_a_held_directory_is_refused_to_a_second_and_free_afterwards(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.prepare()
    with data.locked():
        assert data.is_running()
        with pytest.raises(DataDirError, match=rf"process {os.getpid()}"), DataDir(tmp_path).locked():
            pass
    assert not data.is_running()
    with data.locked():
        pass


def test_state_and_environment_come_back(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    assert (data.read_state(), data.read_environment()) == ({}, {})
    data.write_state({"redis_port": 1})
    data.write_environment({"A": "b"})
    assert (data.read_state(), data.read_environment()) == ({"redis_port": 1}, {"A": "b"})


def test_a_damaged_state_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(DataDirError, match="damaged"):
        DataDir(tmp_path).read_state()


def test_lines_are_coloured_by_process_where_asked() -> None:
    plain, coloured = io.StringIO(), io.StringIO()
    for stream, colour in ((plain, False), (coloured, True)):
        sink = LogSink(stream, colour)
        sink.line("api", "one")
        sink.line("beat", "two")
        sink.line("api", "three")
    assert plain.getvalue() == "api        | one\nbeat       | two\napi        | three\n"
    first, second, third = (line.split("m")[0] for line in coloured.getvalue().splitlines())
    assert first == third != second


def test_a_reader_that_went_away_does_not_stop_the_stack() -> None:
    tried = []

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            tried.append(text)
            raise BrokenPipeError

    sink = LogSink(Gone())
    sink.line("api", "nobody hears this")
    sink.note("and this is not tried")
    assert len(tried) == 1
