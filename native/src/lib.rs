//! Between libvirt and TypeScript: a few coarse, asynchronous questions.
//!
//! This side owns pointers, threads, deadlines and `virError`. It knows no metric name, nothing of Nova and no
//! XML schema. Statistics cross as columns (see `answers::Measurement`).

#![allow(clippy::needless_pass_by_value, reason = "napi-rs hands texts and arrays over by value")]

use std::any::Any;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use napi::bindgen_prelude::{Object, ToNapiValue, Uint32Array};
use napi::{Env, Error, Result, Status as NapiStatus};
use napi_derive::napi;

// Private to everything but the tests of this crate and the benchmark's floor.
mod allocated;
mod answers;
#[doc(hidden)]
pub mod bindings;
mod breaker;
mod bulk;
mod call_log;
mod call_times;
mod caller;
mod calls;
mod connection;
mod connector;
mod coordinator;
pub mod datagram;
mod describe;
mod dictionary;
mod domain_calls;
mod error;
mod events;
mod failure_times;
mod host;
mod library;
mod measure;
mod parameters;
pub mod password;
mod pool;
mod question;
mod reader;
mod reading;
mod results;
mod roster;
mod row;
mod survey;
mod test_driver;
mod threads;

use connector::Connector;
use coordinator::Coordinator;
use pool::Pool;
use question::{Question, QuestionOptions};
use reader::Devices;

/// What the coordinator does for a question.
type Command = Box<dyn FnOnce(&mut Coordinator) + Send>;

/// A hypervisor behind one libvirt URI. Every method returns at once; promises are never rejected by what libvirt
/// does: failures are part of the answers. They are kept in the order of the questions.
#[napi(js_name = "Hypervisor")]
pub struct JsHypervisor {
    commands: Sender<Command>,
}

#[napi]
impl JsHypervisor {
    /// Loads libvirt's client library and starts the threads; opens no connection. `concurrency` domains are asked at the
    /// same time, and `maximum_abandoned` calls that hold a worker of the daemon may be out.
    ///
    /// # Errors
    /// When the library is missing (code `LibraryMissing`), the URI holds a NUL byte, or no thread can start.
    #[napi(constructor)]
    pub fn new(uri: String, concurrency: u32, maximum_abandoned: u32) -> Result<Self> {
        let library = library::library().map_err(|reason| failure(&reason))?;
        let uri = connection::c_uri(&uri)
            .map_err(|error| Error::new(NapiStatus::InvalidArg, error.message))?;
        let pool = Pool::new(concurrency as usize, maximum_abandoned as usize);
        let mut coordinator = Coordinator::new(Connector::new(library, uri), pool);
        let (commands, receiver) = channel::<Command>();
        threads::start("libvirt-survey", move || {
            for command in receiver {
                command(&mut coordinator);
            }
        })
        .map_err(|reason| failure(&reason))?;
        Ok(Self { commands })
    }

    /// Which domains there are: a promise of an `answers::Survey`.
    ///
    /// # Errors
    /// Only when the runtime cannot make a promise.
    #[napi]
    pub fn survey<'env>(&self, env: &'env Env, question: QuestionOptions) -> Result<Object<'env>> {
        self.question(env, question, Coordinator::survey)
    }

    /// Definitions of surveyed domains: a promise of `answers::Description`s.
    ///
    /// # Errors
    /// Only when the runtime cannot make a promise.
    #[napi]
    pub fn describe<'env>(
        &self,
        env: &'env Env,
        question: QuestionOptions,
        handles: Uint32Array,
    ) -> Result<Object<'env>> {
        let handles = handles.to_vec();
        self.question(env, question, move |coordinator| coordinator.describe(&handles))
    }

    /// The values of surveyed domains, in this order, and of the host: a promise of an `answers::Measurement`.
    ///
    /// # Errors
    /// Only when the runtime cannot make a promise.
    #[napi]
    pub fn measure<'env>(
        &self,
        env: &'env Env,
        question: QuestionOptions,
        handles: Uint32Array,
    ) -> Result<Object<'env>> {
        let handles = handles.to_vec();
        self.question(env, question, move |coordinator| coordinator.measure(&handles))
    }

    /// Says which devices a domain has, by target name; of the interfaces, those of a virtual switch (vhost-user) apart.
    #[napi]
    pub fn set_devices(
        &self,
        handle: u32,
        disks: Vec<String>,
        interfaces: Vec<String>,
        vhost_user: Vec<String>,
    ) {
        // No name in a definition holds a NUL byte.
        let names = |texts: Vec<String>| texts.into_iter().flat_map(CString::new).collect();
        let (disks, interfaces) = (names(disks), names(interfaces));
        let devices = Arc::new(Devices { disks, interfaces, vhost_user: names(vhost_user) });
        self.send(move |coordinator| drop(coordinator.devices.insert(handle, devices)));
    }

    /// The state of the connection: a promise of an `answers::Status`.
    ///
    /// # Errors
    /// Only when the runtime cannot make a promise.
    #[napi]
    pub fn status<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        self.ask(env, |coordinator| coordinator.status())
    }

    /// Closes the connection: a promise that is kept when libvirt has closed it, which may be never.
    ///
    /// # Errors
    /// Only when the runtime cannot make a promise.
    #[napi]
    pub fn close<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (answer, promise) = env.create_deferred()?;
        self.send(move |coordinator| coordinator.close(|| answer.resolve(|_| Ok(()))));
        Ok(promise)
    }

    /// A promise of the answer to a question.
    fn question<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        wanted: QuestionOptions,
        answer: impl FnOnce(&mut Coordinator) -> T + Send + 'static,
    ) -> Result<Object<'env>> {
        let question = Question::now(wanted);
        self.ask(env, move |coordinator| {
            coordinator.question = question;
            answer(coordinator)
        })
    }

    /// A promise of what `work` gives. A defect in it costs this one answer.
    fn ask<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        work: impl FnOnce(&mut Coordinator) -> T + Send + 'static,
    ) -> Result<Object<'env>> {
        let (answer, promise) = env.create_deferred()?;
        self.send(move |coordinator| match caught(|| work(coordinator)) {
            Ok(value) => answer.resolve(move |_| Ok(value)),
            Err(defect) => answer.reject(failure(&defect)),
        });
        Ok(promise)
    }

    fn send(&self, command: impl FnOnce(&mut Coordinator) + Send + 'static) {
        // The coordinator lives as long as this sender does.
        let _ = self.commands.send(Box::new(command));
    }
}

fn failure(reason: &impl ToString) -> Error {
    Error::new(NapiStatus::GenericFailure, reason.to_string())
}

/// What `work` gives, or what was said of the defect that cost it.
fn caught<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|cause: Box<dyn Any + Send>| {
        let text = cause.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| cause.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| String::from("a defect of the shim"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_costs_one_answer_and_is_told() {
        assert_eq!(caught(|| 7), Ok(7));
        let (number, none) = (3, None::<u32>);
        assert_eq!(caught(|| -> u32 { panic!("on purpose") }), Err(String::from("on purpose")));
        assert_eq!(caught(|| -> u32 { panic!("number {number}") }), Err(String::from("number 3")));
        assert!(caught(|| none.unwrap()).is_err());
        assert_eq!(caught(|| 8), Ok(8));
    }
}
