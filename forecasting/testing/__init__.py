"""Contract tests to inherit: a format or a model of your own is held to the same rules as the built-in ones."""
