from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sgdsl.cli.config_file import ConfigFile, read_config, written_config
from sgdsl.cli.errors import UsageError
from sgdsl.cli.settings import engine_settings

SETTINGS = {"model": 'a "b" \\ é', "page_size": 4, "mem_fraction_static": 0.5, "jump_forward": False}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sgdsl.toml"
    path.write_text(written_config(SETTINGS, ["why"]), encoding="utf-8")
    assert path.read_text(encoding="utf-8").startswith("# why\n[engine]\n")
    assert read_config(path) == ConfigFile(SETTINGS, {})


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sgdsl.toml"
    path.write_text(written_config(SETTINGS, []), encoding="utf-8")
    assert engine_settings("c", ["page_size=8"], str(path)) == SETTINGS | {"model": "c", "page_size": 8}
    assert engine_settings(None, [], str(path)) == SETTINGS


def test_the_servers_table_is_no_concern_of_the_engines(tmp_path: Path) -> None:
    path = tmp_path / "sgdsl.toml"
    path.write_text(written_config(SETTINGS, []) + "[serve]\nport = 1\n", encoding="utf-8")
    assert engine_settings(None, [], str(path)) == SETTINGS
    path.write_text("[serve]\nport = 1\n", encoding="utf-8")
    assert (engine_settings(None, [], str(path)), read_config(path).serve) == ({}, {"port": 1})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[engine", "sgdsl.toml: "),
        ("", r"a table \[engine\] with settings is needed"),
        ("serve = 1", r"a table \[engine\] with settings is needed"),
        ("engine = 1", r"a table \[engine\] with settings is needed"),
        ("page_size = 1", "'page_size' is not allowed: a table"),
        ("[engine]\npage_size = 0", "sgdsl.toml: page_size=0 is not allowed: an integer of at least 1"),
        ("[engine]\npage_sise = 1", "sgdsl.toml: unknown setting 'page_sise'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "sgdsl.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=reason):
        engine_settings(None, [], str(path))


def test_a_file_that_is_not_there_is_told_by_the_command(sgdsl: Any, write: Any) -> None:
    path = write("@sg.function\ndef main(s): s += 'a'\n")
    code, out, err = sgdsl("run", path, "--config", "none.toml")
    assert (code, out) == (2, "")
    assert err.startswith("sgdsl: --config none.toml: ")
