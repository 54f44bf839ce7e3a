"""The errors that constructors raise.

Rule: they exist at construction only. Once a handler stands, nothing is raised into the program.
"""


class LoghttpError(Exception):
    """The base of every error that loghttp raises."""


class ConfigurationError(LoghttpError, ValueError):
    """A bad or missing argument; the message names the parameter and the cure, and never shows a secret."""
