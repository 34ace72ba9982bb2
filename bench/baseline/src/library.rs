//! libvirt's client library, a connection, and a domain, each closed when it is dropped.

use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr::{self, NonNull};

use crate::bindings;

const FILE_NAME: &str = "libvirt.so.0";

/// The loaded library.
pub struct Library {
    /// The functions, by their C names.
    pub api: bindings::Libvirt,
    /// The one that the exporter does without, and so its declarations.
    pub maximum_vcpus: unsafe extern "C" fn(bindings::virDomainPtr) -> c_int,
}

impl Library {
    /// Loads the library and keeps its messages off standard error.
    pub fn open() -> Result<Self, String> {
        // SAFETY: loading runs the library's constructors, which only set up its own data; the declarations were
        // generated from its headers.
        let api =
            unsafe { bindings::Libvirt::new(FILE_NAME) }.map_err(|error| error.to_string())?;
        // SAFETY: as above; it is loaded already and stays so.
        let again =
            unsafe { libloading::Library::new(FILE_NAME) }.map_err(|error| error.to_string())?;
        // SAFETY: the type is the one of libvirt-domain.h.
        let maximum_vcpus =
            *unsafe { again.get(c"virDomainGetMaxVcpus") }.map_err(|error| error.to_string())?;
        // SAFETY: it may be called at any time.
        if unsafe { (api.virInitialize)() } < 0 {
            return Err(String::from("virInitialize failed"));
        }
        // SAFETY: the handler captures nothing.
        unsafe { (api.virSetErrorFunc)(ptr::null_mut(), Some(ignore_error)) };
        Ok(Self { api, maximum_vcpus })
    }

    /// What libvirt said last on this thread.
    fn last_error(&self) -> String {
        // SAFETY: it returns null or this thread's error, valid until the thread's next libvirt call.
        let error = unsafe { (self.api.virGetLastError)().as_ref() };
        let message = error.map_or(ptr::null_mut(), |error| error.message);
        if message.is_null() {
            return String::from("libvirt gave no reason");
        }
        // SAFETY: a message is NUL-terminated.
        let text = unsafe { CStr::from_ptr(message) };
        text.to_string_lossy().into_owned()
    }
}

unsafe extern "C" fn ignore_error(_data: *mut c_void, _error: bindings::virErrorPtr) {}

/// A read-only connection.
pub struct Connection {
    /// What it was opened with.
    pub library: &'static Library,
    pointer: NonNull<bindings::virConnect>,
}

// SAFETY: libvirt allows any thread to use a connection.
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

impl Connection {
    /// Connects to `uri`.
    pub fn open(library: &'static Library, uri: &str) -> Result<Self, String> {
        let name = CString::new(uri).map_err(|error| error.to_string())?;
        let login = ptr::null_mut();
        // SAFETY: the name is NUL-terminated; libvirt takes no login for one that nobody can give.
        let pointer = unsafe {
            (library.api.virConnectOpenAuth)(name.as_ptr(), login, bindings::VIR_CONNECT_RO)
        };
        match NonNull::new(pointer) {
            Some(pointer) => Ok(Self { library, pointer }),
            None => Err(format!("Cannot connect to \"{uri}\": {}", library.last_error())),
        }
    }

    /// The raw pointer, valid as long as the connection.
    pub fn pointer(&self) -> *mut bindings::virConnect {
        self.pointer.as_ptr()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: nothing uses the connection afterwards.
        unsafe { (self.library.api.virConnectClose)(self.pointer()) };
    }
}

/// A domain.
pub struct Domain {
    /// What it was found with.
    pub library: &'static Library,
    pointer: NonNull<bindings::virDomain>,
}

// SAFETY: libvirt allows any thread to use a domain.
unsafe impl Send for Domain {}
// SAFETY: as above.
unsafe impl Sync for Domain {}

impl Domain {
    /// Takes over a reference, or makes none of a null pointer.
    ///
    /// # Safety
    /// `pointer` is null or a domain of which the caller owns a reference.
    pub unsafe fn from_owned(
        library: &'static Library,
        pointer: *mut bindings::virDomain,
    ) -> Option<Self> {
        Some(Self { library, pointer: NonNull::new(pointer)? })
    }

    /// The raw pointer, valid as long as the domain.
    pub fn pointer(&self) -> *mut bindings::virDomain {
        self.pointer.as_ptr()
    }

    /// Its UUID; no call to the daemon.
    pub fn uuid(&self) -> [u8; bindings::VIR_UUID_BUFLEN as usize] {
        let mut uuid = [0; bindings::VIR_UUID_BUFLEN as usize];
        // SAFETY: the buffer has the size that libvirt writes.
        unsafe { (self.library.api.virDomainGetUUID)(self.pointer(), uuid.as_mut_ptr()) };
        uuid
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // SAFETY: gives back the reference that was taken over.
        unsafe { (self.library.api.virDomainFree)(self.pointer()) };
    }
}
