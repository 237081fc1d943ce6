# SPDX-License-Identifier: MIT
"""The types of the C half, called by hand: an error at the most."""

from __future__ import annotations

import pytest

from cuvee import _core
from tests.loop.support import Script


def is_made_here(value: object) -> bool:
    """Say whether it is a type that C fills, as exceptions are not."""
    return isinstance(value, type) and not issubclass(value, BaseException)


TYPES = sorted(name for name, value in vars(_core).items() if is_made_here(value))


@pytest.mark.parametrize("name", TYPES)
def test_made_with_anything(name: str) -> None:
    """In a process of its own: what is half made must not crash when it is used, or goes."""
    text = f"""
        import gc, itertools, warnings
        from cuvee import _core
        warnings.simplefilter("ignore", ResourceWarning)
        kind = _core.{name}
        loop = new_loop()
        things = [None, 0, -1, "text", b"bytes", object(), loop, print, [], {{}}, os.pipe()[0]]
        made = []
        for make in (kind, lambda *args: kind.__new__(kind, *args)):
            for count in range(4):
                for args in itertools.product(things, repeat=count):
                    try:
                        made.append(make(*args))
                    except (TypeError, ValueError, RuntimeError, OSError, AttributeError):
                        pass
                    if len(made) > 20:
                        for each in made:
                            repr(each)
                        made.clear()
        for each in made:
            for attribute in dir(each):
                if attribute not in ("__class__", "run_forever", "_run"):
                    value = getattr(each, attribute, None)
                    if callable(value) and attribute[:2] != "__":
                        try:
                            value()
                        except (TypeError, ValueError, RuntimeError, OSError, AttributeError):
                            pass
        each = value = made = None
        gc.collect()
        loop.close()
        say("stands")
    """
    with Script(text) as script:
        script.expect("stands")
        script.end()
