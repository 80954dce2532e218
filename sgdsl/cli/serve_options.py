"""ServeOptions: options of `sgdsl serve` on who may use the server, and on what it tells of itself."""

from __future__ import annotations

import argparse
import os
from typing import Any

__all__ = ["add_options", "config_fields"]


def add_options(serve: argparse.ArgumentParser) -> None:
    """Adds them to the command."""
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
        "--cors-origin", metavar="ORIGIN", action="append", default=[],
        help="a site whose pages may use the server, such as https://example.org; may be repeated; * lets all "
        "(default: none but the server's own)",
    )  # fmt: skip
    telling = serve.add_argument_group("metrics, logs and traces")
    telling.add_argument(
        "--metrics-prefix", metavar="NAME", default="sgdsl",
        help="of the names of metrics; sglang for dashboards made for SGLang (default: sgdsl)",
    )  # fmt: skip
    telling.add_argument("--open-metrics", action="store_true", help="/metrics needs no key")
    telling.add_argument("--log-json", action="store_true", help="log as JSON, with a line for every request")
    telling.add_argument("--otel", action="store_true", help="an OpenTelemetry span for every request")


def config_fields(options: argparse.Namespace) -> dict[str, Any]:
    """What they say, as fields of `ServerConfig`."""
    return {
        "api_keys": _keys(options.api_key, "SGDSL_API_KEY"),
        "admin_api_keys": _keys(options.admin_api_key, "SGDSL_ADMIN_API_KEY"),
        "api_key_file": options.api_keys,
        "cors_origins": tuple(options.cors_origin),
        "metrics_prefix": options.metrics_prefix,
        "open_metrics": options.open_metrics,
        "log_json": options.log_json,
        "otel": options.otel,
    }


def _keys(given: list[str] | None, variable: str) -> tuple[str, ...]:
    """A key on the command line is seen by whoever lists processes; one in the environment is not."""
    return tuple(given or [key for key in (os.environ.get(variable),) if key])
