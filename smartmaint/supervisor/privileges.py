"""What a child process is allowed to do, and that it never outlives the supervisor.

The functions made here run between fork and exec (`preexec_fn`), which is safe because the supervisor has no
threads.
"""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Callable

# linux/prctl.h, linux/securebits.h and linux/capability.h
PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522

IS_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)


def database_account() -> pwd.struct_passwd | None:
    """The account PostgreSQL runs as: None for our own; `nobody` for root, which PostgreSQL refuses."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def dying_with_the_supervisor(
    death_signal: signal.Signals, *, account: pwd.struct_passwd | None = None
) -> Callable[[], None]:
    """A `preexec_fn`: become `account`, and get `death_signal` when the supervisor is killed."""
    supervisor_pid = os.getpid()

    def prepare() -> None:
        if account is not None:
            _become(account)
        if IS_LINUX:
            # After the change of account, which clears it.
            _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != supervisor_pid:  # it died before the line above
                os._exit(1)

    return prepare


def _become(account: pwd.struct_passwd) -> None:
    """Leaves root for `account`, keeping the right to enter folders that only root may enter.

    A clone under /root is closed to every other account. Opening /root would change somebody's machine, so
    the child keeps one capability instead: to read and search, or, where a container withholds that one, to
    override.
    """
    if IS_LINUX:
        # Capabilities outlive the change of account and count for access(2), by which initdb finds programs.
        _libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    if IS_LINUX:
        for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
            if _keep_across_exec(capability):
                return


def _keep_across_exec(capability: int) -> bool:
    """Puts one capability into the effective, permitted, inheritable and ambient sets; False when refused."""
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    # Two records of (effective, permitted, inheritable): capabilities 0-31 and 32-63.
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if _libc.capset(ctypes.byref(header), sets) != 0:
        return False
    return _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0
