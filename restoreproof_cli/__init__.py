"""The command line: our Program, the demo, configuration tasks."""
