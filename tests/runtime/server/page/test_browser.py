"""The page in Chromium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.sampling.params import SamplingParams
from runtime.server.local_engine import LocalEngine
from sgdsl.served.runner import GraphRunner

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")]

MARKUP = "Say <img src=x onerror=alert(1)> <b>loud</b>"
GRAPH = {
    "sgdsl_graph": 1,
    "kind": "Graph",
    "name": "judge",
    "parameters": [{"kind": "Parameter", "name": "topic", "is_required": True}],
    "instructions": [
        {"kind": "Instruction", "stream": 0, "node": {"kind": "Arg", "name": "topic"}},
        {
            "kind": "Instruction",
            "stream": 0,
            "node": {
                "kind": "Gen",
                "name": "word",
                "sampling": {"kind": "Sampling", "max_tokens": 4, "temperature": 0},
            },
        },
    ],
}

STOP_AT_ONCE = """
    new MutationObserver(() => {
      const begun = document.querySelector("#messages .assistant .text:not(:empty)");
      if (begun) document.getElementById("chat-stop").click();
    }).observe(document.getElementById("messages"), { childList: true, subtree: true });
"""
MEANT = ("status of 401", "status of 403", "status of 503", "net::ERR_FAILED")
"""Complaints of tests that ask without a key, while an engine is down, and over a connection that was cut."""

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM)
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Any, tiny_engine: Engine, serving: Callable[..., Any]) -> Iterator[Open]:
    """Opens the page of a new server. What the browser complains about fails the test."""
    complaints: list[str] = []
    contexts: list[Any] = []
    servers: list[Any] = []

    def begin(*, programs: bool = False, width: int = 1280, **settings: Any) -> Any:
        local = LocalEngine(tiny_engine)
        servers.append(serving(local, GraphRunner(local) if programs else None, **settings))
        url = servers[-1].__enter__()
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield begin
    for context in contexts:
        context.close()
    for server in servers:
        server.__exit__(None, None, None)
    assert [one for one in complaints if not any(known in one for known in MEANT)] == []


def _is_done(page: Any, stop: str) -> None:
    page.locator(f"{stop}:disabled").wait_for()


def test_a_conversation_is_shown_as_text(open_page: Open) -> None:
    page = open_page()
    page.get_by_text("System prompt and sampling").click()
    page.get_by_label("Most tokens").fill("8")
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("Message", exact=True).fill(MARKUP)
    page.keyboard.press("Enter")
    _is_done(page, "#chat-stop")
    assert page.locator("#messages .user .text").inner_text() == MARKUP
    assert page.locator("#messages img, #messages b").count() == 0
    assert "8 generated" in page.locator("#messages .assistant .cost").inner_text()
    assert page.locator("#messages .assistant .cost").inner_text().endswith("there was room for no more tokens")
    first = page.locator("#messages .assistant .text").text_content()
    assert first
    page.get_by_label("Message", exact=True).fill("more")
    page.get_by_role("button", name="Send").click()
    page.locator("#messages .assistant .cost").nth(1).filter(has_text="generated").wait_for()
    assert page.locator("#messages li").count() == 4
    page.get_by_role("button", name="New conversation").click()
    assert page.locator("#messages li").count() == 0


def test_what_is_stopped_ends_in_the_engine(
    open_page: Open, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    page = open_page()
    page.evaluate(STOP_AT_ONCE)
    page.get_by_label("Message", exact=True).fill("go on")
    page.keyboard.press("Enter")
    page.locator("#messages .assistant .cost", has_text="stopped").wait_for()
    _is_done(page, "#chat-stop")
    page.wait_for_function("fetch('/server_info').then(r => r.json()).then(info => info.requests_in_work === 0)")
    assert_nothing_held(tiny_engine)


def test_a_failure_is_told(open_page: Open) -> None:
    page = open_page()
    page.route("**/v1/chat/completions", lambda route: route.abort())
    page.get_by_label("Message", exact=True).fill("hello")
    page.keyboard.press("Enter")
    page.get_by_text("the server cannot be reached").wait_for()


def test_an_answer_that_is_cut_off_on_the_way_is_told(open_page: Open) -> None:
    page = open_page()
    begun = 'data: {"choices": [{"index": 0, "delta": {"content": "once upon"}}]}\n\n'
    page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=begun))
    page.get_by_label("Message", exact=True).fill("a story")
    page.keyboard.press("Enter")
    page.get_by_text("the connection ended before the answer did").wait_for()
    assert page.locator("#messages .assistant .text").inner_text() == "once upon"


def test_an_engine_that_is_down_is_said_and_one_that_is_back_too(open_page: Open) -> None:
    page = open_page()
    page.locator("#state", has_text="context of").wait_for()
    down = json.dumps({"error": {"message": "the engine is being started again"}})
    page.route("**/server_info", lambda route: route.fulfill(status=503, body=down))
    page.locator("#state.bad", has_text="being started again").wait_for()
    page.locator("#live.stale").wait_for()
    page.unroute("**/server_info")
    page.locator("#state:not(.bad)", has_text="context of").wait_for()
    page.locator("#live:not(.stale)").wait_for()


def test_a_schema_gives_an_object(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("tab", name="JSON schema").click()
    page.get_by_role("button", name="Generate").click()
    page.get_by_text("Complete, and valid by the schema.").wait_for()
    found = json.loads(page.locator("#object").inner_text())
    assert found["country"] in ("France", "Italy", "Spain")
    assert isinstance(found["is_capital"], bool)
    page.get_by_role("textbox", name="JSON schema").fill("{")
    page.get_by_role("button", name="Generate").click()
    page.get_by_text("the schema is no JSON").wait_for()


def test_a_program_runs_where_the_server_runs_programs(open_page: Open, tmp_path: Any) -> None:
    page = open_page(programs=True)
    page.get_by_role("tab", name="Program").click()
    (tmp_path / "graph.json").write_text(json.dumps(GRAPH))
    page.get_by_label("or from a file").set_input_files(tmp_path / "graph.json")
    page.wait_for_function("document.getElementById('arguments').value.includes('topic')")
    page.get_by_label("Arguments, as JSON").fill('{"topic": "tea"}')
    page.get_by_role("button", name="Run").click()
    page.get_by_text("judge: ").wait_for()
    assert page.locator("#program-text").inner_text().startswith("tea")
    assert page.get_by_role("row", name="word").count() == 1


def test_there_is_no_program_tab_elsewhere(open_page: Open) -> None:
    page = open_page()
    page.locator("#model", has_text="tiny").wait_for()
    page.locator("#kv-legend li").first.wait_for()
    assert page.get_by_role("tab").count() == 2


def test_the_engine_is_seen_at_work(open_page: Open, tiny_engine: Engine) -> None:
    page = open_page()
    with tiny_engine.open(program="mine") as session:
        session.append("the theatre there, then the thin thing thinks that those other things are there")
        session.generate(SamplingParams(max_new_tokens=1)).result(60)
        page.locator("#holders tr", has_text="mine").wait_for()
        assert page.locator("#holders tr", has_text="mine").locator("td").all_inner_texts()[:2] == ["1", "0"]
    tiny_engine.generate("the theatre there, then the thin thing " * 4, {"max_new_tokens": 4})
    page.locator("#tree .run", has_text="the theatre there").first.wait_for()
    tokens = [one.inner_text().replace(",", "") for one in page.locator("#kv-legend b").all()]
    assert sum(map(int, tokens)) == 4096
    assert page.locator("#kv-share").inner_text().endswith("%")
    page.get_by_label("live").uncheck()


def test_a_key_is_asked_for_and_kept_nowhere(open_page: Open) -> None:
    page = open_page(api_keys=("secret",))
    for key in ("wrong", "secret"):
        field = page.get_by_label("API key")
        field.wait_for()
        field.fill(key)
        page.get_by_role("button", name="Use key").click()
    page.locator("#model", has_text="tiny").wait_for()
    page.locator("#kv-legend li").first.wait_for()
    assert page.locator("#key-form").is_hidden()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert "secret" not in kept
    page.reload()
    page.get_by_label("API key").wait_for()


def test_who_is_no_admin_has_the_playground_alone(open_page: Open) -> None:
    page = open_page(admin_api_keys=("boss",))
    page.get_by_text("the view of the engine needs an admin's key").wait_for()
    assert page.locator("#live").is_hidden()
    assert page.get_by_label("Message", exact=True).is_visible()


def test_the_keyboard_is_enough(open_page: Open) -> None:
    page = open_page()
    page.locator("#model", has_text="tiny").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-schema"
    assert page.locator("#schema").is_visible()
    page.keyboard.press("Home")
    assert page.locator("#chat").is_visible()
    assert page.locator("#schema").is_hidden()


@pytest.mark.parametrize("width", [320, 390, 768])
def test_it_fits_narrow_screens(open_page: Open, width: int) -> None:
    page = open_page(programs=True, width=width)
    page.locator("#kv-legend li").first.wait_for()
    page.locator("#tab-program").wait_for()
    for name in ("Chat", "JSON schema", "Program"):
        page.get_by_role("tab", name=name).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
