"""What one step's attention is about, as its kernel reads it."""

from __future__ import annotations

from runtime.parallel.job import job_type

__all__ = ["ATTENTION_JOB"]

ATTENTION_JOB = job_type(
    [
        "function",  # C function(part, thread, layer, job): see `runtime.attention.cpu_kernels`
        "layer",  # for a team that computes one layer alone
        "queries",  # float32 rows of [num_heads, dim] …
        "query_stride",  # … so many floats apart
        "out",  # float32 [num_tokens, num_heads, dim]
        "keys",  # of layer 0: [slots, num_kv_heads, dim]; the next layer's begin layer_bytes further on
        "values",
        "layer_bytes",
        "key_scales",  # of layer 0, float32 [slots, num_kv_heads], where keys and values are int8
        "value_scales",
        "layer_scale_bytes",
        "items",  # int32 [num_items, 4]: places first … first + count - 1 of `order`; nodes begin … end - 1
        "num_items",
        "nodes",  # int32 [num_nodes, 5]: see `runtime.attention.prefix_tree.Node`, members being places of an item
        "num_nodes",
        "order",  # int32 [num_tokens]: which row of queries is at a place
        "num_parts",
        "bounds",  # int32 [num_parts + 1]: units item * num_kv_heads + head of part i are bounds[i]:bounds[i + 1]
        "positions",  # int64 [num_tokens]
        "num_tokens",
        "page_table",  # int32 [num_sequences, table_width]
        "num_sequences",
        "table_width",
        "in_order",  # int32 [table_width]: 0, 1, …
        "scratch",  # float32 [threads, scratch_size]
        "scratch_size",
        "num_heads",
        "num_kv_heads",
        "dim",
        "page_size",
    ]
)
