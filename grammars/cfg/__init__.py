"""Context-free grammars: Lark and GBNF texts, and the rules they become."""
