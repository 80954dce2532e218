"""The HTTP server: OpenAI's endpoints and native ones over one engine."""
