"""The program suite: workloads written in the language, on our engine, on our server and on other servers."""
