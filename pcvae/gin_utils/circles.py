"""Whether what a configuration refers to comes back to itself, which would never end."""

import gin

from pcvae.errors import UserError
from pcvae.gin_utils.kinds import is_macro


def check_no_circle() -> None:
    """Raises UserError if gin would call something in order to call it, or a macro names itself."""
    done: set[tuple] = set()
    for scope, selector in list(gin.config._CONFIG):
        _walk((tuple(scope.split("/")) if scope else (), selector), [], done)


def _walk(node, path, done):
    """Follows what gin calls for (scopes, selector), which it meets on a path of such."""
    if node in path:
        names = " -> ".join(_name(*step) for step in [*path[path.index(node) :], node])
        raise UserError(f"what is set refers to itself: {names}")
    if node in done:
        return
    for reference in gin.config.iterate_references(list(_bound(*node).values())):
        if reference.evaluate or is_macro(reference):
            # A reference without a scope is called in the one where it stands.
            scopes = tuple(reference.scopes) or node[0]
            _walk((scopes, reference.configurable.selector), [*path, node], done)
    done.add(node)


def _bound(scopes, selector):
    """Returns {parameter: value} as a call in nested scopes gets them."""
    bound = {}
    for depth in range(len(scopes) + 1):
        bound |= gin.config._CONFIG.get(("/".join(scopes[:depth]), selector), {})
    return bound


def _name(scopes, selector):
    short = ".".join(selector.split(".")[-2:])
    return f"%{'/'.join(scopes)}" if selector == "gin.macro" else "/".join([*scopes, f"@{short}()"])
