"""Trail: what is told of a request besides its answer: its id, a log line, a span, counts."""
