//! What libvirt allocates and the caller has to free.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::slice;

use crate::dictionary::text;

unsafe extern "C" {
    #[link_name = "free"]
    fn c_free(pointer: *mut c_void);
}

/// A copy of a text that libvirt handed over; `None` for null.
///
/// # Safety
/// `pointer` is null or a NUL-terminated string that the caller has to free with `free()`.
pub unsafe fn take_text(pointer: *mut c_char) -> Option<String> {
    // SAFETY: a NUL-terminated string or null, copied before it is freed.
    let copy = unsafe { copy_text(pointer) };
    // SAFETY: it is ours to free, and not used afterwards; freeing null does nothing.
    unsafe { c_free(pointer.cast()) };
    copy
}

/// A copy of a text that stays libvirt's; `None` for null.
///
/// # Safety
/// `pointer` is null or a NUL-terminated string that is valid during this call.
pub unsafe fn copy_text(pointer: *const c_char) -> Option<String> {
    // SAFETY: the caller vouches for a non-null pointer.
    (!pointer.is_null()).then(|| text(unsafe { CStr::from_ptr(pointer) }.to_bytes()))
}

/// The entries of an array of libvirt; none when there is no array, or its length is no length.
///
/// # Safety
/// `pointer` is null, or an array of `length` entries that lives, and is not written to, as long as the result.
pub unsafe fn entries<'a, T>(pointer: *const T, length: impl TryInto<usize>) -> &'a [T] {
    let length = length.try_into().unwrap_or_default();
    if pointer.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for the array.
    unsafe { slice::from_raw_parts(pointer, length) }
}

/// Gives an object back to libvirt.
pub type Release<T> = unsafe extern "C" fn(*mut T) -> c_int;

/// Objects that libvirt has listed; each goes back to libvirt when the list is dropped.
pub struct List<T> {
    pointer: *mut *mut T,
    length: usize,
    release: Release<T>,
}

impl<T> List<T> {
    /// Takes a list over, as the calls `virConnectListAll…` give it.
    ///
    /// # Safety
    /// `pointer` is null, or a list of `length` objects that are the caller's, as is the list, which `free()` frees and
    /// whose objects `release` frees.
    pub unsafe fn from_owned(pointer: *mut *mut T, length: usize, release: Release<T>) -> Self {
        Self { pointer, length, release }
    }

    /// The objects, valid as long as the list.
    pub fn objects(&self) -> &[*mut T] {
        // SAFETY: a list of that length that lives as long as `self`.
        unsafe { entries(self.pointer, self.length) }
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
        unsafe { c_free(self.pointer.cast()) };
    }
}
