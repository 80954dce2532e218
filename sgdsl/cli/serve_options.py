"""ServeOptions: the options of `sgdsl serve`, as settings of the server.

What is not given is None, so that a config file may say it.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

__all__ = ["add_options", "config_fields"]


def add_options(serve: argparse.ArgumentParser) -> None:
    """Adds them to the command."""
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", metavar="N", type=int, help="0 takes a free one (default: 30000)")
    serve.add_argument("--served-model-name", metavar="NAME", help="what clients call the model")
    serve.add_argument(
        "--max-requests", metavar="N", type=int, help="in work at once; more are told 429 (default: 4096)"
    )
    serve.add_argument("--max-body-mib", metavar="N", type=int, help="of a request (default: 32)")
    serve.add_argument(
        "--drain-seconds", metavar="X", type=float,
        help="that running requests may go on after the order to stop (default: 30)",
    )  # fmt: skip
    serve.add_argument(
        "--in-process", action=argparse.BooleanOptionalAction,
        help="have the engine in the server's own process, in place of one that is restarted when it ends or hangs",
    )  # fmt: skip
    serve.add_argument(
        "--hang-seconds", metavar="X", type=float,
        help="without a sign of life while somebody waits, after which the engine is started anew (default: 60)",
    )  # fmt: skip
    _add_access(serve)
    _add_telling(serve)


def _add_access(serve: argparse.ArgumentParser) -> None:
    access = serve.add_argument_group("access")
    access.add_argument(
        "--api-key", metavar="KEY", action="append",
        help="clients must send it; may be repeated (default: what SGDSL_API_KEY holds, else none is needed)",
    )  # fmt: skip
    access.add_argument(
        "--admin-api-key", metavar="KEY", action="append",
        help="needed for what concerns everybody, such as /flush_cache; may be repeated "
        "(default: what SGDSL_ADMIN_API_KEY holds, else any key does)",
    )  # fmt: skip
    access.add_argument("--api-keys", metavar="FILE", help="more keys, as hashes, made by `sgdsl keys add`")
    access.add_argument(
        "--cors-origin", metavar="ORIGIN", action="append",
        help="a site whose pages may use the server, such as https://example.org; may be repeated; * lets all "
        "(default: none but the server's own)",
    )  # fmt: skip


def _add_telling(serve: argparse.ArgumentParser) -> None:
    telling = serve.add_argument_group("metrics, logs and traces")
    telling.add_argument(
        "--metrics-prefix", metavar="NAME",
        help="of the names of metrics; sglang for dashboards made for SGLang (default: sgdsl)",
    )  # fmt: skip
    telling.add_argument("--open-metrics", action=argparse.BooleanOptionalAction, help="/metrics needs no key")
    telling.add_argument(
        "--log-json", action=argparse.BooleanOptionalAction, help="log as JSON, with a line for every request"
    )
    telling.add_argument(
        "--otel", action=argparse.BooleanOptionalAction, help="an OpenTelemetry span for every request"
    )


def config_fields(options: argparse.Namespace) -> dict[str, Any]:
    """What they say, as fields of `ServerConfig`; without those that nobody gave."""
    given = {
        "host": options.host,
        "port": options.port,
        "served_model_name": options.served_model_name,
        "max_requests": options.max_requests,
        "max_body_bytes": None if options.max_body_mib is None else options.max_body_mib << 20,
        "drain_seconds": options.drain_seconds,
        "api_keys": _keys(options.api_key, "SGDSL_API_KEY"),
        "admin_api_keys": _keys(options.admin_api_key, "SGDSL_ADMIN_API_KEY"),
        "api_key_file": options.api_keys,
        "cors_origins": None if options.cors_origin is None else tuple(options.cors_origin),
        "metrics_prefix": options.metrics_prefix,
        "open_metrics": options.open_metrics,
        "log_json": options.log_json,
        "otel": options.otel,
    }
    return {name: value for name, value in given.items() if value is not None}


def _keys(given: list[str] | None, variable: str) -> tuple[str, ...] | None:
    """A key on the command line is seen by whoever lists processes; one in the environment is not."""
    return tuple(given or [key for key in (os.environ.get(variable),) if key]) or None
