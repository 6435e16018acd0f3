"""A program of its own: becomes a command inside an instance. ``python -I -S enter.py FOLDER TTY PROGRAM ARG...``

It takes on what the instance's own command has (limits, environment, place,
mark), so it is ended with the instance. TTY is 1 when standard input is a
terminal that is to be the command's own.
"""

import os
import sys

if __name__ == "__main__":  # started with nothing on its path
    sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)))

from apisvc.compute.local import files, processes


def main(folder: str, tty: str, *argv: str) -> None:
    wish = files.read(os.path.join(folder, "wish.json"))
    if wish is None:
        raise SystemExit(f"there is no instance in {folder}")
    if tty == "1":
        os.login_tty(0)
    else:
        os.setsid()
    processes.take_on(wish, folder)
    try:
        os.execvpe(argv[0], argv, {"TERM": "xterm", **wish["env"], processes.MARK: folder})  # noqa: S606
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        raise SystemExit(126) from None


if __name__ == "__main__":
    main(*sys.argv[1:])
