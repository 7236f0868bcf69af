"""A full disk, as far as a process can make one for itself: files that grow no further."""

import contextlib
import resource


@contextlib.contextmanager
def no_room(free_bytes=0):
    """No file can be written beyond a size in the block: "File too large"."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
