"""The first process of a real node, in mount and process namespaces of its own.

    unshare --mount --pid --fork --mount-proc python3 inside.py FOLDER

What kubelet and containerd write or mount outside ``FOLDER`` is seen by nobody else and ends with this
process, and so does every process in here, for that is what the kernel does when the first one is gone.
"""

import os
import pathlib
import signal
import subprocess
import sys

#: What kubelet wants of the kernel; it sets what is otherwise, for the whole machine. Here it reads its wish.
WISHES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def main(folder: pathlib.Path) -> None:
    for name, wish in WISHES.items():
        if not pathlib.Path(f"/proc/sys/{name}").exists():
            continue  # a kernel without keys
        file = folder / "wishes" / name.replace("/", "-")
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{wish}\n")
        _mount("--bind", str(file), f"/proc/sys/{name}")
    variable = folder / "var"
    for part in ("lib", "log", "cache", "tmp"):
        (variable / part).mkdir(parents=True, exist_ok=True)
    if not (variable / "run").is_symlink():
        (variable / "run").symlink_to("/run")
    _mount("--bind", str(variable), "/var")
    # containerd keeps its shims' sockets there, and the network namespaces are mounted there.
    _mount("-t", "tmpfs", "tmpfs", "/run")
    (folder / "inside").write_text("ready\n")
    while True:
        # Who lost its parent in here is ours to bury.
        try:
            os.wait()
        except ChildProcessError:
            signal.sigtimedwait({signal.SIGCHLD}, 1)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
