"""Generate: `POST /generate`, in SGLang's shape."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from runtime.call import parse_prompts, parse_rids, sample_params
from runtime.sampling.params import SamplingParams
from runtime.server.access.tenant import namespace_of
from runtime.server.bodies import read_model
from runtime.server.errors import bad_request
from runtime.server.keys import CONFIG, ENGINE
from runtime.server.native.requests import GenerateBody, params_of
from runtime.server.native.samples import Sample, answered, append

__all__ = ["generate"]


async def generate(request: web.Request) -> web.StreamResponse:
    """Continues one prompt or a list of them."""
    body = await read_model(request, GenerateBody)
    if body.image_data:
        raise bad_request("image_data", "image_data: the model takes no pictures")
    if body.text is None and body.input_ids is None:
        raise bad_request("text", "text: one is needed, or input_ids")
    if body.text is not None and body.input_ids is not None:
        raise bad_request("input_ids", "input_ids and text are given together: one is allowed")
    prompts, is_list = parse_prompts(body.text, body.input_ids)
    params = _params(request.app, body, len(prompts))
    most = request.app[CONFIG].max_samples
    if not 0 < sum(one.n for one in params) <= most:
        raise bad_request("text", f"{sum(one.n for one in params)} samples are asked for: 1 to {most} are allowed")
    rids = parse_rids(body.rid, len(prompts))
    is_list = is_list or any(one.n > 1 for one in params)
    samples = await _samples(request, body, prompts, params, rids)
    return await answered(request, samples, is_stream=body.stream, is_list=is_list)


def _params(app: web.Application, body: GenerateBody, num_prompts: int) -> list[SamplingParams]:
    given = body.sampling_params
    if isinstance(given, list):
        if len(given) != num_prompts:
            raise bad_request("sampling_params", f"sampling_params: {len(given)} for {num_prompts} prompts")
        return [params_of(app, one, "/generate") for one in given]
    return [params_of(app, given, "/generate")] * num_prompts


async def _samples(
    request: web.Request,
    body: GenerateBody,
    prompts: Sequence[str | Sequence[int]],
    params: Sequence[SamplingParams],
    rids: Sequence[str],
) -> list[Sample]:
    samples: list[Sample] = []
    ask = body.ask(request.app)
    try:
        for prompt, own, rid in zip(prompts, params, rids, strict=True):
            session = request.app[ENGINE].open(namespace=namespace_of(request, body.cache_salt))
            samples.append(Sample(session, sample_params(own, 0), ask, rid))
            await append(session, prompt)
            if own.n > 1:
                for place, branch in enumerate(session.fork(own.n - 1), start=1):
                    samples.append(Sample(branch, sample_params(own, place), ask, rid))
    except BaseException:
        for sample in samples:
            sample.session.cancel()
            sample.session.close()
        raise
    return samples
