"""The one exception that stands for a mistake of the user's."""


class UserError(Exception):
    """Bad input: a single line that says what is wrong and how to go on. Exit code 2."""


def first_line(error: BaseException) -> str:
    """What an exception says, on one line; its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
