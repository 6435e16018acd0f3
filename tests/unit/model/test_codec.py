"""Records and bytes, from many threads at once."""

import subprocess
import sys
import textwrap

import testtools

_RACE = """
    import sys, threading, types
    from apisvc.model import codec

    SOURCE = '''
    from __future__ import annotations
    import msgspec
    class Inner(msgspec.Struct):
        a: str
        b: dict[str, str] = {}
    class Middle(msgspec.Struct):
        one: Inner
        many: tuple[Inner, ...] = ()
    class Outer(msgspec.Struct):
        x: str
        middle: Middle
        none: Middle | None = None
    '''
    sys.setswitchinterval(1e-6)
    for number in range(60):
        fresh = types.ModuleType(f"fresh{number}")
        sys.modules[fresh.__name__] = fresh
        exec(SOURCE, fresh.__dict__)
        together = threading.Barrier(6)

        def first(number):
            together.wait()
            if number % 2:
                codec.decode(b'{"x": "1", "middle": {"one": {"a": "s"}, "many": [{"a": "q"}]}}', fresh.Outer)
            else:
                codec.convert({"one": {"a": "s"}}, fresh.Middle)

        threads = [threading.Thread(target=first, args=(number,)) for number in range(6)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
"""


class FirstLook(testtools.TestCase):
    def test_threads_that_meet_a_type_first_do_not_crash(self) -> None:
        # In a process of its own: what it guards against is a crash of the process.
        race = [sys.executable, "-c", textwrap.dedent(_RACE)]
        done = subprocess.run(race, capture_output=True, text=True, timeout=60)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
