//! What libvirt allocates and the caller has to free.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::slice;

use crate::dictionary::text;

unsafe extern "C" {
    #[link_name = "free"]
    fn c_free(pointer: *mut c_void);
}

/// Gives memory back that libvirt wants to be freed by the C library.
///
/// # Safety
/// `pointer` is null or came from libvirt, whose documentation asks for `free()`, and is not used afterwards.
pub unsafe fn free<T>(pointer: *mut T) {
    // SAFETY: the caller vouches for the pointer.
    unsafe { c_free(pointer.cast()) };
}

/// A copy of a text that libvirt handed over; `None` for null.
///
/// # Safety
/// `pointer` is null or a NUL-terminated string that the caller has to free with `free()`.
pub unsafe fn take_text(pointer: *mut c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: a NUL-terminated string, copied before it is freed.
    let copy = text(unsafe { CStr::from_ptr(pointer) }.to_bytes());
    // SAFETY: it is ours to free, and not used afterwards.
    unsafe { free(pointer) };
    Some(copy)
}

/// A copy of a text that stays libvirt's; `None` for null.
///
/// # Safety
/// `pointer` is null or a NUL-terminated string that is valid during this call.
pub unsafe fn copy_text(pointer: *const c_char) -> Option<String> {
    // SAFETY: the caller vouches for a non-null pointer.
    (!pointer.is_null()).then(|| text(unsafe { CStr::from_ptr(pointer) }.to_bytes()))
}

/// Objects that libvirt has listed; each goes back to libvirt when the list is dropped.
pub struct List<T> {
    pointer: *mut *mut T,
    length: usize,
    release: unsafe extern "C" fn(*mut T) -> c_int,
}

impl<T> List<T> {
    /// Takes a list over, as the calls `virConnectListAll…` give it.
    ///
    /// # Safety
    /// `pointer` is null, or a list of `length` objects that are the caller's, as is the list, which `free()` frees and
    /// whose objects `release` frees.
    pub unsafe fn from_owned(
        pointer: *mut *mut T,
        length: usize,
        release: unsafe extern "C" fn(*mut T) -> c_int,
    ) -> Self {
        Self { pointer, length, release }
    }

    /// The objects, valid as long as the list.
    pub fn objects(&self) -> &[*mut T] {
        if self.pointer.is_null() {
            return &[];
        }
        // SAFETY: a list of that length that lives as long as `self`.
        unsafe { slice::from_raw_parts(self.pointer, self.length) }
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        for &object in self.objects() {
            if !object.is_null() {
                // SAFETY: the object is ours and is not used afterwards.
                unsafe { (self.release)(object) };
            }
        }
        // SAFETY: the list is ours and is not used afterwards.
        unsafe { free(self.pointer) };
    }
}
