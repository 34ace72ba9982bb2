//! Calls of libvirt's functions: how long each takes is noted, and what libvirt says when it fails is kept.

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;

use crate::allocated::{List, Release};
use crate::bindings::{Libvirt, virConnect};
use crate::call_log::CallLog;
use crate::connection::Connection;
use crate::error::{LibvirtError, Result};
use crate::library::Library;
use crate::row::SharedDictionary;

/// Makes a call by the method of `Caller` that fits it, which is told the function's own name. As libvirt's functions are
/// unsafe, so is this.
///
/// - `call!(caller, virFunction(argument))`: the function answers with a number.
/// - `call!(caller, |place| virFunction(argument, place))`: it writes what it gives.
/// - `call!(caller, |list| virFunction(argument, list), virFree)`: it writes a list of objects, each of which goes back by
///   `virFree`.
macro_rules! call {
    ($caller:expr, $function:ident($($argument:expr),*)) => {
        $caller.number(stringify!($function), |api| (api.$function)($($argument),*))
    };
    ($caller:expr, |$place:ident| $function:ident($($argument:expr),*)) => {
        $caller.written(stringify!($function), |api, $place| (api.$function)($($argument),*))
    };
    ($caller:expr, |$list:ident| $function:ident($($argument:expr),*), $release:ident) => {
        $caller.list(
            stringify!($function),
            |api, $list| (api.$function)($($argument),*),
            |api| api.$release,
        )
    };
}
pub(crate) use call;

/// Makes the calls of one task.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The connection that they use.
    pub connection: &'a Arc<Connection>,
    /// Where they are noted.
    pub log: &'a CallLog,
    /// Where the numbers of fields come from.
    pub dictionary: &'a SharedDictionary,
}

impl Caller<'_> {
    /// libvirt's client library.
    pub fn library(self) -> &'static Library {
        self.connection.library
    }

    /// The connection as libvirt's functions take it.
    pub fn pointer(self) -> *mut virConnect {
        self.connection.pointer()
    }

    /// What a call gives that answers with a number, or with a negative one when it fails.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn number(self, name: &'static str, call: impl FnOnce(&Libvirt) -> c_int) -> Result<u32> {
        let result = self.log.time(name, || call(&self.library().api));
        u32::try_from(result).map_err(|_| LibvirtError::last(self.library(), name))
    }

    /// What a call writes that answers with a negative number when it fails.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn written<T: Default>(
        self,
        name: &'static str,
        call: impl FnOnce(&Libvirt, *mut T) -> c_int,
    ) -> Result<T> {
        let mut value = T::default();
        self.number(name, |api| call(api, &raw mut value))?;
        Ok(value)
    }

    /// The objects that a call lists that answers with their number, or with a negative one when it fails.
    ///
    /// # Safety
    /// When it does not fail, the call writes a list as `List::from_owned` takes it, which `release` fits.
    ///
    /// # Errors
    /// What libvirt said.
    pub unsafe fn list<T>(
        self,
        name: &'static str,
        call: impl FnOnce(&Libvirt, *mut *mut *mut T) -> c_int,
        release: impl FnOnce(&Libvirt) -> Release<T>,
    ) -> Result<List<T>> {
        let mut list = ptr::null_mut();
        let length = self.number(name, |api| call(api, &raw mut list))?;
        // SAFETY: the caller vouches for the list.
        Ok(unsafe { List::from_owned(list, length as usize, release(&self.library().api)) })
    }
}
