"""Those who listen to a running service, and those who write down what came out.

Progress goes to stderr, the one result to stdout. Everything passes redaction on its way out.
"""
