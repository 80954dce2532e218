"""Which vector instructions numba may use here: imported only by those who are about to compile kernels of them."""

from __future__ import annotations

from importlib import import_module

__all__ = ["FEATURES"]


def _features() -> frozenset[str]:
    """The instructions that numba compiles for: this machine's, or those that its settings leave.

    Raises:
        ImportError: some are missing that all kernels need; LLVM would end the process over them.
    """
    given = import_module("numba.core.config").CPU_FEATURES
    text = import_module("numba.core.codegen").get_host_cpu_features() if given is None else given
    found = frozenset(part[1:] for part in text.split(",") if part.startswith("+"))
    if missing := sorted({"avx2", "fma", "f16c"} - found):
        raise ImportError(f"this processor, or what numba may use of it, has no {', '.join(missing)}")
    return found


FEATURES = _features()
