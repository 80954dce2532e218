"""Native: the endpoints that are our own or SGLang's."""
