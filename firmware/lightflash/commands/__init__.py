"""One module per command: EXAMPLE, add_arguments(parser), run(options) -> exit code."""
