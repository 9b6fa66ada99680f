"""Whether a module of some architecture computes by the same statements as one that we know."""

import ast
import inspect
import textwrap
from collections.abc import Callable


def same_code(function: Callable, known_function: Callable) -> bool:
    """Whether two functions have the same statements; comments, names of types and docstrings do not count."""
    try:
        return statements(function) == statements(known_function)
    except (OSError, TypeError, SyntaxError):
        return False  # no source at hand: then it is not known


def statements(function: Callable) -> list[str]:
    [made] = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
    return [
        ast.dump(each)
        for each in made.body
        if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]
