"""From JSON Schema documents to constraint nodes, keyword by keyword."""
