from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.images import MAX_BYTES, split_data_url
from sgdsl.ir import Image

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
HEADS = {
    "png": PNG,
    "jpeg": b"\xff\xd8\xff\xe0rest",
    "gif": b"GIF89a rest",
    "webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "bmp": b"BM\1\2\3\4\0\0\0\0rest",
}


def source(expr: sg.Expr) -> str:
    (node,) = expr.nodes
    assert isinstance(node, Image)
    return node.source


@pytest.mark.parametrize("kind", HEADS)
def test_the_kind_is_read_from_the_content(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(HEADS[kind])
    for given in (str(path), path, HEADS[kind], bytearray(HEADS[kind])):
        url = source(sg.image(given))
        assert split_data_url(url) == (f"image/{kind}", base64.b64encode(HEADS[kind]).decode())
    assert source(sg.image(url)) == url


def test_urls_and_pictures_of_a_library() -> None:
    assert source(sg.image("HTTPS://example.org/a b.png")) == "HTTPS://example.org/a b.png"

    class Picture:
        def save(self, file: io.BytesIO, format: str) -> None:
            assert format == "PNG"
            file.write(PNG)

    assert source(sg.image(Picture())) == source(sg.image(PNG))


class Broken:
    def save(self, file: io.BytesIO, format: str) -> None:
        raise OSError("no such encoder")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("nowhere.png", "image 'nowhere.png' cannot be read: No such file"),
        ("a\0b", "cannot be read"),
        (".", "cannot be read: Is a directory"),
        (b"", "no picture of a known kind"),
        (b"%PDF-1.7", "no picture of a known kind .png, jpeg, gif, webp, bmp.: it begins with b'%PDF-1.7'"),
        (PNG + bytes(MAX_BYTES), "20.0 MB, at most 20 are allowed"),
        ("data:text/plain,hello", "is not allowed: data:image"),
        ("data:image/png;base64,%%%", "is not base64"),
        ("data:image/png;base64,aGVsbG8=", "no picture of a known kind"),
        (Broken(), "cannot be saved as PNG: no such encoder"),
        (7, "int 7 is not allowed: a path, bytes, a PIL image or a URL"),
        (None, "NoneType None is not allowed"),
    ],
)
def test_what_is_no_picture(given: Any, named: str) -> None:
    with pytest.raises(sg.InvalidArgument, match=named):
        sg.image(given)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read"))
    with pytest.raises(sg.InvalidArgument, match=r"20\.0 MB"):
        sg.image(path)


def test_a_program_with_several() -> None:
    mock = sg.Mock(["two", "one"])
    first, second = source(sg.image(PNG)), "http://example.org/b.png"

    @sg.function
    def look(s: sg.ProgramState) -> Any:
        s += sg.user(sg.image(PNG) + "and" + sg.image(second) + "what?")
        point = s.checkpoint()
        s += sg.assistant(sg.gen("x"))
        s.sync()
        forks = s.fork(1)
        forks[0] += sg.user(sg.image(PNG)) + sg.assistant(sg.gen("y"))
        s.rollback(point)
        s += sg.user("again") + sg.assistant(sg.gen("z"))
        return forks[0].messages()

    state = look.run(backend=mock)
    assert [call.images for call in mock.calls if call.name != "y"] == [(first, second)] * 2
    assert [call.images for call in mock.calls if call.name == "y"] == [(first, second, first)]
    assert state.messages()[0]["content"] == [
        {"type": "image_url", "image_url": {"url": first}},
        {"type": "text", "text": "and"},
        {"type": "image_url", "image_url": {"url": second}},
        {"type": "text", "text": "what?"},
    ]
    assert state.ret_value[2]["content"] == [{"type": "image_url", "image_url": {"url": first}}]
    assert state.messages()[1] == {"role": "user", "content": "again"}
    assert "andwhat?" in state.text()


def test_pictures_taken_back_are_not_shown() -> None:
    mock = sg.Mock()

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "a"
        point = s.checkpoint()
        s += "b" + sg.image(PNG) + sg.gen("x")
        s.sync()
        s.rollback(point)
        s += sg.gen("y")

    program.run(backend=mock)
    assert [len(call.images) for call in mock.calls] == [1, 0]
