"""Runs a command as on an older kernel: system calls beyond a number do not exist.

Arguments: the highest number, the command and its arguments.
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
LOAD_WORD = 0x20
JUMP_IF_GREATER = 0x25
RETURN = 0x06


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def main(highest: int, command: list[str]) -> None:
    # The number of the call is the first word of what a filter sees.
    instructions = [
        (LOAD_WORD, 0, 0, 0),
        (JUMP_IF_GREATER, 0, 1, highest),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.ENOSYS),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    library = ctypes.CDLL(None, use_errno=True)
    program = ctypes.byref(Program(len(instructions), code))
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0),
    ):
        if library.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    os.execvp(command[0], command)


main(int(sys.argv[1]), sys.argv[2:])
