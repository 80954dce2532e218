"""What a request names outside itself, files and URLs, is neither read nor fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.lark"
    path.write_text('start: "secret"\n')
    return path


async def _refused(client: Any, path: str, body: dict[str, Any]) -> str:
    async with client.post(path, json=body) as response:
        text = await response.text()
        assert response.status == 400, text
    return text


@pytest.mark.parametrize("line", ["%import .secret.start", "%import {}.start", "%import common..secret.start"])
async def test_grammars_import_no_files(client: Any, secret: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(secret.parent)
    grammar = line.format(str(secret.with_suffix("")).lstrip("/").replace("/", ".")) + "\nstart2: start\n"
    params = {"lark": grammar, "max_new_tokens": 4}
    said = await _refused(client, "/generate", {"text": "abc", "sampling_params": params})
    assert '"secret"' not in said


@pytest.mark.parametrize("reference", ["file:///etc/hostname", "http://127.0.0.1:1/x.json", "other.json"])
async def test_schemas_fetch_no_documents(client: Any, reference: str) -> None:
    schema = {"$ref": reference}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    said = await _refused(client, "/v1/chat/completions", {"messages": MESSAGES, "response_format": form})
    assert "another document" in said


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "file:///etc/hostname", "data:image/png;base64,AAAA"])
async def test_pictures_are_refused_unseen(client: Any, url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    body = {"messages": [{"role": "user", "content": [part]}]}
    assert "reads text only" in await _refused(client, "/v1/chat/completions", body)
    assert "no pictures" in await _refused(client, "/generate", {"text": "abc", "image_data": url})


async def test_chat_templates_are_the_operators(client: Any) -> None:
    body = {"messages": MESSAGES, "max_tokens": 1, "chat_template": "{{ '' }}", "chat_template_kwargs": {"self": 1}}
    assert "chat_template_kwargs.self" in await _refused(client, "/v1/chat/completions", body)
