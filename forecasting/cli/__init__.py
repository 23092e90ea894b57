"""The `forecast` program: one file per verb, each parses, calls and prints."""
