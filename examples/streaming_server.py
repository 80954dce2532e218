"""Streaming server: a program behind an HTTP endpoint, its answer sent as it comes.

`answer` is an `async def` program: it runs on the server's own event loop and blocks nothing, however many requests
there are. The handler passes every piece on as a server-sent event. `main` starts the server on a free port of this
machine, asks it one question as any client would, and stops it. Run it:

    sgdsl run examples/streaming_server.py
    sgdsl run examples/streaming_server.py -- "Why is the sea salty?"
    python examples/streaming_server.py
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, web

import sgdsl as sg


@sg.function
async def answer(s, question: str):
    """Answers one question."""
    s += sg.user(question)
    s += sg.assistant(sg.gen("answer", max_tokens=48, temperature=0))


async def handle(request: web.Request) -> web.StreamResponse:
    """`POST /ask` with `{"question": …}`: the answer as server-sent events, then `[DONE]`."""
    question = (await request.json())["question"]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    state = await answer.arun(question, stream=True)  # dropped when the client is gone, which cancels it
    async for piece in state.text_async_iter("answer"):
        await response.write(f"data: {json.dumps(piece)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """The server on a free port of 127.0.0.1, as long as the block lasts; its URL."""
    app = web.Application()
    app.router.add_post("/ask", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def ask(url: str, question: str) -> AsyncIterator[str]:
    """The pieces of the server's answer, as a client reads them."""
    async with ClientSession() as client, client.post(f"{url}/ask", json={"question": question}) as response:
        async for line in response.content:
            data = line.decode().removeprefix("data: ").strip()
            if data and data != "[DONE]":
                yield json.loads(data)


@sg.function
async def main(s, question: str = "Why is the sky blue?"):
    """Serves, asks the server one question, and shows what it streams."""
    async with served() as url:
        s += f"POST /ask {question}\n"
        pieces = 0
        async for piece in ask(url, question):
            s += piece
            pieces += 1
    return {"pieces": pieces}


if __name__ == "__main__":
    for text in main.run(stream=True).text_iter():
        print(text, end="", flush=True)
    print()
