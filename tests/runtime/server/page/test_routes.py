from __future__ import annotations

import re
from importlib.resources import files
from itertools import product
from typing import Any

import pytest

STATIC = {one.name: one.read_text("utf-8") for one in files("runtime.server.page").joinpath("static").iterdir()}
LEAST_CONTRAST = 4.5
"""Of texts, as WCAG 2 asks for on level AA."""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/page/main.js", "text/javascript"),
        ("/page/style.css", "text/css"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
async def test_files_are_sent_with_a_strict_policy_and_without_a_key(make_client: Any, path: str, kind: str) -> None:
    client = await make_client(api_keys=("secret",))
    async with client.get(path) as response:
        assert response.status == 200
        assert response.content_type == kind
        policy = dict(one.split(" ", 1) for one in response.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        tag = response.headers["ETag"]
    async with client.get(path, headers={"If-None-Match": tag}) as response:
        assert response.status == 304
        assert await response.read() == b""


@pytest.mark.parametrize("path", ["/page/", "/page/index.html", "/page/../routes.py", "/page/%2e%2e%2froutes.py"])
async def test_nothing_else_can_be_had(client: Any, path: str) -> None:
    async with client.get(path) as response:
        assert response.status == 404


async def test_everything_a_file_names_is_there(client: Any) -> None:
    named = {name for text in STATIC.values() for name in re.findall(r'"(/page/[^"]+)"', text)}
    assert named == {f"/page/{name}" for name in STATIC if name != "index.html"}
    for path in named:
        assert (await client.get(path)).status == 200


@pytest.mark.parametrize("name", sorted(STATIC))
def test_no_file_asks_for_what_is_elsewhere_or_reads_texts_as_html(name: str) -> None:
    text = STATIC[name].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//cdn|@import|url\(", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|Function\(", text)
    assert not re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text)


def test_every_field_has_a_label() -> None:
    page = STATIC["index.html"]
    for field in re.findall(r"<(?:input|textarea|select)\b[^>]*>", page):
        name = re.search(r'\bid="([^"]+)"', field)
        assert name is not None
        own = f'for="{name[1]}"' in page
        around = re.search(rf'<label[^>]*>(?:(?!</label>).)*\bid="{name[1]}"', page, re.DOTALL)
        assert own or around, field


def _colors(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css))


def _luminance(color: str) -> float:
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(scheme: str) -> None:
    light, _, rest = STATIC["style.css"].partition("@media (prefers-color-scheme: dark)")
    colors = _colors(light) if scheme == "light" else _colors(rest)
    assert colors.keys() >= _colors(light).keys() - {"mono"}
    pairs = [
        *product(("text", "muted", "accent", "bad"), ("page", "surface", "sunk")),
        ("on-accent", "accent"),
    ]
    for text, ground in pairs:
        lighter, darker = sorted((_luminance(colors[text]), _luminance(colors[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= LEAST_CONTRAST, (text, ground)
