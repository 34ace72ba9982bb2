//! What libvirt says when a call fails.

use std::ffi::CStr;
use std::fmt;

use crate::dictionary::text;
use crate::library::Library;

/// Codes of `virErrorNumber` that change what the shim does next.
/// Source: <https://libvirt.org/html/libvirt-virterror.html>
pub mod code {
    use crate::bindings;

    /// The driver does not have this call.
    pub const NO_SUPPORT: i32 = bindings::VIR_ERR_NO_SUPPORT.cast_signed();
    /// An argument or flag is not understood.
    pub const INVALID_ARGUMENT: i32 = bindings::VIR_ERR_INVALID_ARG.cast_signed();
    /// The domain does not exist any more.
    pub const NO_DOMAIN: i32 = bindings::VIR_ERR_NO_DOMAIN.cast_signed();
    /// A value of an argument is not supported.
    pub const ARGUMENT_UNSUPPORTED: i32 = bindings::VIR_ERR_ARGUMENT_UNSUPPORTED.cast_signed();
    /// The operation is not supported for this domain or driver.
    pub const OPERATION_UNSUPPORTED: i32 = bindings::VIR_ERR_OPERATION_UNSUPPORTED.cast_signed();
    /// The domain's configuration does not support it.
    pub const CONFIG_UNSUPPORTED: i32 = bindings::VIR_ERR_CONFIG_UNSUPPORTED.cast_signed();
    /// The operation does not fit the state that the domain is in.
    pub const OPERATION_INVALID: i32 = bindings::VIR_ERR_OPERATION_INVALID.cast_signed();
    /// The system refused something, for example to open a file.
    pub const SYSTEM_ERROR: i32 = bindings::VIR_ERR_SYSTEM_ERROR.cast_signed();
    /// The storage pool does not exist any more.
    pub const NO_STORAGE_POOL: i32 = bindings::VIR_ERR_NO_STORAGE_POOL.cast_signed();
    /// The storage volume does not exist any more.
    pub const NO_STORAGE_VOLUME: i32 = bindings::VIR_ERR_NO_STORAGE_VOL.cast_signed();
    /// The network does not exist any more.
    pub const NO_NETWORK: i32 = bindings::VIR_ERR_NO_NETWORK.cast_signed();
    /// Not a libvirt code: the shim stopped waiting, or did not ask.
    pub const NONE: i32 = 0;
}

/// A failed libvirt call: which one, and the `virError` it left behind.
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
}

impl LibvirtError {
    /// A failure that libvirt did not report itself.
    pub fn own(call: &'static str, message: impl Into<String>) -> Self {
        Self { call, code: code::NONE, origin: 0, message: message.into() }
    }

    /// Whether libvirt says that it cannot do this at all, as opposed to not now.
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self.code,
            code::NO_SUPPORT
                | code::OPERATION_UNSUPPORTED
                | code::ARGUMENT_UNSUPPORTED
                | code::CONFIG_UNSUPPORTED
        )
    }

    /// The calling thread's last libvirt error, as left by `call`.
    ///
    /// Errors are thread-local: it must be read by the thread that made the call, before its next call.
    pub fn last(library: &Library, call: &'static str) -> Self {
        // SAFETY: virGetLastError has no preconditions; it returns null or a pointer to this
        // thread's error, which stays valid until this thread's next libvirt call.
        let error = unsafe { (library.api.virGetLastError)().as_ref() };
        let Some(error) = error else {
            return Self::own(call, "libvirt gave no reason");
        };
        let message = if error.message.is_null() {
            String::from("libvirt gave no reason")
        } else {
            // SAFETY: a non-null message of a virError is a NUL-terminated string owned by it.
            text(unsafe { CStr::from_ptr(error.message) }.to_bytes())
        };
        Self { call, code: error.code, origin: error.domain, message }
    }
}

impl fmt::Display for LibvirtError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} (code {})", self.call, self.message, self.code)
    }
}
