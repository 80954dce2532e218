"""The engine: requests in, tokens out. Import `runtime.engine`; nothing heavy happens here."""
