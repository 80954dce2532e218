"""A server in a process of its own, on a tiny random model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import sgdsl as sg

ROOT = Path(sg.__file__).parent.parent
SETTINGS = {"max_total_tokens": 2048, "attention": "torch", "weight_format": "float32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    path = tmp_path_factory.mktemp("tiny")
    config = LlamaConfig(
        vocab_size=300, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the theatre there, then the thin thing thinks"] * 20, trainer)
    tokenizer.save(str(path / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (path / "tokenizer_config.json").write_text(json.dumps(names), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runtime(folder: Path) -> Iterator[Any]:
    with sg.Runtime(model_path=str(folder), api_key="secret", **SETTINGS) as started:
        yield started


@sg.function
def program(s: sg.ProgramState, word: str) -> Any:
    s += f"the {word} theatre there, then the thing" + sg.gen("a", 12, temperature=0, ignore_eos=True)
    s += sg.select("b", ["yes", "no"])
    forks = s.fork(3)
    forks += lambda i: f"{i}: " + sg.gen("c", 4, regex="[0-9]+", temperature=0)
    forks.join()
    return s["a"], s["b"], s["c"], s.tokens()


def test_it_is_what_hosts_of_sglang_expect(runtime: Any) -> None:
    assert runtime.url.startswith("http://127.0.0.1:")
    assert runtime.generate_url == runtime.url + "/generate"
    os.kill(runtime.pid, 0)
    body = {"text": "the", "sampling_params": {"max_new_tokens": 3, "ignore_eos": True}}
    request = urllib.request.Request(
        runtime.generate_url,
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer secret", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        assert json.load(response)["meta_info"]["completion_tokens"] == 3
    tokenizer = runtime.get_tokenizer()
    assert tokenizer.decode(tokenizer.encode("the theatre", add_special_tokens=False)) == "the theatre"
    assert tokenizer.eos_token == "</s>"


def test_a_remote_program_costs_the_model_what_a_local_one_does(runtime: Any, folder: Path) -> None:
    """Counted on engines that have done the same: the greeting's probe is one of the model's tasks too."""
    sg.set_default_backend(runtime)
    names = ("computed_tokens", "cached_tokens", "generated_tokens", "forced_tokens")

    def cost(info: Callable[[], Any], run: Callable[[], Any]) -> tuple[Any, list[int]]:
        before = info()
        value = run().ret_value
        after = info()
        return value, [after[name] - before[name] for name in names]

    endpoint = runtime.endpoint
    remote = cost(endpoint.get_server_info, lambda: program.run("remote"))
    with sg.Engine(str(folder), **SETTINGS) as engine:
        local = cost(engine.stats, lambda: program.run("remote", backend=engine))
    assert remote == local
    assert sum(remote[1]) > 0
    assert sg.flush_cache(runtime) is True


def test_quickstart_runs_on_the_server(runtime: Any) -> None:
    command = [sys.executable, "-m", "sgdsl.cli", "run", str(ROOT / "examples/quickstart.py"), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SGDSL_API_KEY": "secret"}
    done = subprocess.run(
        [*command, "--backend", runtime.url], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["value"] in ("art", "literature", "science")


def test_what_does_not_come_up_says_why(tmp_path: Path) -> None:
    with pytest.raises(sg.EndpointError, match=r"did not come up: it ended with [12](.|\n)*no model"):
        sg.Runtime(model_path=str(tmp_path / "none"))
    with pytest.raises(sg.EndpointError, match=r"(?s)did not come up.*no setting 'tp_size'"):
        sg.Runtime(model_path=str(tmp_path), tp_size=2)
    with pytest.raises(sg.InvalidArgument, match="stop="):
        sg.Runtime(model_path=str(tmp_path), stop=["a"])
    with pytest.raises(sg.InvalidArgument, match="tokenizer_path="):
        sg.Runtime(model_path="a", tokenizer_path="b")


def test_a_script_needs_no_guard_and_leaves_no_process(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sgdsl as sg\n"
        f"runtime = sg.Runtime(model_path={str(folder)!r}, max_total_tokens=512, attention='torch')\n"
        "print(runtime.pid)\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
