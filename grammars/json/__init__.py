"""JSON Schema: from the document to the constraint graph, from the graph to what may come next."""
