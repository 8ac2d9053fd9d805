"""Become another program that ends with the one that started it, as another user if need be.

    python -I -S launch.py DEATH_SIGNAL PARENT_PID UID:GID|- 0|1 PROGRAM ARGUMENT…

Run as a file of its own between fork and exec, it needs no code in the forked child of a process
that may have threads. The fourth argument says whether the other user keeps CAP_DAC_OVERRIDE,
which lets PostgreSQL reach a checkout below a folder that only root may enter.

Source of the order below: prctl(2), capabilities(7). A change of user id clears the death
signal, so that comes last; it fires when the *thread* that spawned us ends.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
# access(2) asks with the real user's capabilities, which it clears without this bit; PostgreSQL
# looks for its own files with access(2).
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522

CANNOT = 126


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def _call(name: str, *arguments: object) -> None:
    """Call libc and raise what went wrong."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def prctl(option: int, value: int, extra: int = 0) -> None:
    """Change something about this process."""
    unsigned = ctypes.c_ulong
    _call("prctl", option, unsigned(value), unsigned(extra), unsigned(0), unsigned(0))


def become(uid: int, gid: int, *, override: bool) -> None:
    """Give up root for this user, who may still pass through others' folders if `override`."""
    if override:
        prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if override:
        mask = 1 << CAP_DAC_OVERRIDE
        header = _Header(CAPABILITY_VERSION_3, 0)
        data = (_Data * 2)(_Data(mask, mask, mask), _Data(0, 0, 0))
        _call("capset", ctypes.byref(header), ctypes.byref(data))
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def main(arguments: list[str]) -> None:
    """Do what the arguments say; return only by failing."""
    death_signal, parent, user, override, *command = arguments
    if user != "-":
        uid, gid = (int(part) for part in user.split(":"))
        become(uid, gid, override=override == "1")
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != int(parent):
        sys.exit(CANNOT)  # it died before we were tied to it
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"can't start {sys.argv[5]}: {error}\n")
        sys.exit(CANNOT)
