//! What libvirt says when a call fails.

use napi_derive::napi;

use crate::allocated::copy_text;
use crate::bindings;
use crate::library::Library;

/// What says that a host refuses this user, or that this user does not trust the host: lines of the program `ssh`, which
/// libvirt repeats, and of libvirt about its own clients `libssh` and `libssh2`.
const REFUSALS: [&str; 6] = [
    "Permission denied (",
    "Permission denied, please try again",
    "Too many authentication failures",
    "Host key verification failed",
    "failed to authenticate",
    "host key verification",
];

/// What a daemon answers as the RPC's error that is none of the connection.
const LASTING: [&str; 4] = [
    "Failed to connect socket to",
    "unable to connect to server",
    "exceeds max limit",
    "for limit",
];

/// A failed libvirt call: which one, and the `virError` it left behind. Calls that failed alike are one on the other side.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibvirtError {
    /// The name of the libvirt function.
    pub call: &'static str,
    /// `virErrorNumber`; 0 when the failure is the shim's own (for example a deadline).
    pub code: i32,
    /// `virErrorDomain`: the part of libvirt that raised it; 0 for the shim's own.
    pub origin: i32,
    /// libvirt's text.
    pub message: String,
    /// How many calls failed so.
    pub count: u32,
    /// A domain that it concerned; none for a call about the host.
    pub handle: Option<u32>,
    /// All of them.
    pub handles: Vec<u32>,
    /// The pools, volumes and networks that it concerned.
    pub subjects: Vec<String>,
}

/// What a call gave, or how it failed.
pub type Result<T> = std::result::Result<T, LibvirtError>;

impl LibvirtError {
    /// A failure that libvirt did not report itself.
    pub fn own(call: &'static str, message: impl Into<String>) -> Self {
        let (message, handles, subjects) = (message.into(), Vec::new(), Vec::new());
        Self { call, code: 0, origin: 0, message, count: 1, handle: None, handles, subjects }
    }

    /// Whether libvirt has given this code, a `virErrorNumber`. Source: <https://libvirt.org/html/libvirt-virterror.html>
    pub fn is(&self, code: u32) -> bool {
        self.code == code.cast_signed()
    }

    /// Whether libvirt says that it cannot do this at all, as opposed to not now.
    pub fn is_unsupported(&self) -> bool {
        self.is(bindings::VIR_ERR_NO_SUPPORT)
            || self.is(bindings::VIR_ERR_OPERATION_UNSUPPORTED)
            || self.is(bindings::VIR_ERR_ARGUMENT_UNSUPPORTED)
            || self.is(bindings::VIR_ERR_CONFIG_UNSUPPORTED)
    }

    /// Whether it says that a connection has ended: this one, or one that a daemon on the way has to another. Such a daemon
    /// answers so for ever, though the connection to it lives. Source: `virNetClientIO…` in libvirt's
    /// src/rpc/virnetclient.c; other errors of that part, as of a message that is too large, have codes of their own.
    /// A daemon that cannot reach another one, such as one that is not installed, says so likewise; so does one that refuses an
    /// answer as too long (`src/remote/remote_daemon_dispatch.c`). Another connection would change neither.
    pub fn is_connection_lost(&self) -> bool {
        self.origin == bindings::VIR_FROM_RPC.cast_signed()
            && (self.is(bindings::VIR_ERR_INTERNAL_ERROR)
                || self.is(bindings::VIR_ERR_SYSTEM_ERROR))
            && !LASTING.iter().any(|lasting| self.message.contains(lasting))
    }

    /// Whether a login by ssh was refused, or came down to a password, which nobody is there to give. Whoever tries that often
    /// is locked out.
    pub fn is_login_refused(&self) -> bool {
        let is_client =
            [bindings::VIR_FROM_SSH, bindings::VIR_FROM_LIBSSH, bindings::VIR_FROM_AUTH]
                .contains(&self.origin.cast_unsigned());
        (is_client && self.is(bindings::VIR_ERR_AUTH_FAILED))
            || REFUSALS.iter().any(|refusal| self.message.contains(refusal))
    }

    /// The calling thread's last libvirt error, as left by `call`.
    ///
    /// Errors are thread-local: it must be read by the thread that made the call, before its next call.
    pub fn last(library: &Library, call: &'static str) -> Self {
        // SAFETY: virGetLastError has no preconditions; it returns null or a pointer to this
        // thread's error, which stays valid until this thread's next libvirt call.
        let error = unsafe { (library.api.virGetLastError)().as_ref() };
        // SAFETY: the message of a virError is null or a NUL-terminated string owned by it.
        let message = error.and_then(|error| unsafe { copy_text(error.message) });
        let own =
            Self::own(call, message.unwrap_or_else(|| String::from("libvirt gave no reason")));
        match error {
            Some(error) => Self { code: error.code, origin: error.domain, ..own },
            None => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(origin: u32, code: u32, message: &str) -> LibvirtError {
        LibvirtError {
            code: code.cast_signed(),
            origin: origin.cast_signed(),
            ..LibvirtError::own("virConnectOpenAuth", message)
        }
    }

    #[test]
    fn a_connection_is_lost_when_the_rpc_says_so_but_not_when_a_daemon_cannot_reach_another() {
        let (rpc, qemu) = (bindings::VIR_FROM_RPC, bindings::VIR_FROM_QEMU);
        let (internal, system) = (bindings::VIR_ERR_INTERNAL_ERROR, bindings::VIR_ERR_SYSTEM_ERROR);
        let cases = [
            (true, rpc, internal, "internal error: client socket is closed"),
            (true, rpc, system, "End of file while reading data: Input/output error"),
            (true, rpc, system, "Cannot write data: Broken pipe"),
            (false, rpc, system, "Failed to connect socket to '/run/a-sock': No such file"),
            (false, rpc, system, "unable to connect to server at 'a:16514': Connection refused"),
            (
                false,
                rpc,
                internal,
                "Number of domain stats records is 9, which exceeds max limit: 8",
            ),
            (false, rpc, bindings::VIR_ERR_RPC, "Unable to encode message payload"),
            (false, qemu, internal, "client socket is closed"),
        ];
        for (is_lost, origin, code, message) in cases {
            let error = error(origin, code, message);
            assert_eq!(error.is_connection_lost(), is_lost, "{message}");
        }
    }

    #[test]
    fn a_login_by_ssh_is_refused_and_one_that_a_daemon_asks_for_is_not() {
        let libssh = bindings::VIR_FROM_LIBSSH;
        let (ssh2, rpc) = (bindings::VIR_FROM_SSH, bindings::VIR_FROM_RPC);
        let (failed, client) = (bindings::VIR_ERR_AUTH_FAILED, bindings::VIR_ERR_LIBSSH);
        let system = bindings::VIR_ERR_SYSTEM_ERROR;
        let cases = [
            (true, ssh2, failed, "Username/PublicKey combination invalid"),
            (true, libssh, failed, "Identity of host 'b' differs from stored identity"),
            (true, libssh, client, "failed to authenticate: Access denied for 'publickey'"),
            (true, libssh, client, "no suitable callback for host key verification"),
            (true, bindings::VIR_FROM_AUTH, failed, "Password request failed"),
            (true, rpc, system, "a@b: Permission denied (publickey)."),
            (false, libssh, client, "Remote command terminated with non-zero code: 1"),
            (false, rpc, failed, "authentication failed: authentication failed"),
            (false, bindings::VIR_FROM_REMOTE, failed, "Failed to collect auth credentials"),
            (false, rpc, system, "Failed to connect socket to '/a': Permission denied"),
        ];
        for (is_refused, origin, code, message) in cases {
            let error = error(origin, code, message);
            assert_eq!(error.is_login_refused(), is_refused, "{message}");
        }
    }
}
