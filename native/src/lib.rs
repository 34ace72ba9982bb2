//! The seam between libvirt and TypeScript: a few coarse, asynchronous questions.
//!
//! This side owns pointers, threads, deadlines and `virError`. It knows no metric name, nothing of Nova and no
//! XML schema. Statistics cross as columns (see `hypervisor::Measurement`).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use napi::bindgen_prelude::{Float64Array, Object, Uint8Array, Uint32Array};
use napi::{Env, Error, JsDeferred, Result, Status as NapiStatus};
use napi_derive::napi;

// Private to everything but the tests of this crate and the benchmark's floor.
mod allocated;
#[doc(hidden)]
pub mod bindings;
mod bulk;
mod call_times;
mod connection;
mod connector;
pub mod datagram;
mod dictionary;
mod domain_calls;
mod error;
mod host;
mod hypervisor;
mod library;
mod parameters;
pub mod password;
mod pool;
mod reader;
mod row;
mod test_driver;

use call_times::CallTime;
use error::LibvirtError;
use host::Entity;
use hypervisor::{Description, Failure, Hypervisor, Measurement, Question, Status, Survey};
use reader::Devices;

/// How to reach a hypervisor.
#[napi(object)]
pub struct HypervisorOptions {
    /// libvirt's connection URI.
    pub uri: String,
    /// How many domains are asked at the same time.
    pub concurrency: u32,
    /// How many calls that hold a worker of the daemon may be out.
    pub maximum_abandoned: u32,
}

/// A question's bounds.
#[napi(object)]
pub struct QuestionOptions {
    /// How long the answer may take.
    pub timeout_milliseconds: f64,
    /// How long one call of it may take.
    pub call_timeout_milliseconds: f64,
    /// Groups of `virDomainStatsTypes`, added.
    pub groups: u32,
    /// Calls about domains, added.
    pub domain_calls: u32,
    /// Calls about the host, added.
    pub host_calls: u32,
    /// Whether domains that are shut off are listed.
    pub inactive: bool,
}

/// A failed call.
#[napi(object)]
pub struct JsFailure {
    /// The libvirt function.
    pub call: String,
    /// `virErrorNumber`, or 0 when libvirt said nothing.
    pub code: i32,
    /// `virErrorDomain`.
    pub origin: i32,
    /// The reason.
    pub message: String,
    /// How many calls failed so.
    pub count: u32,
    /// A domain that it concerned.
    pub handle: Option<u32>,
}

/// See `hypervisor::Appeared`.
#[napi(object)]
pub struct JsAppeared {
    /// See `hypervisor::Appeared`.
    pub handle: u32,
    /// See `hypervisor::Appeared`.
    pub uuid: String,
    /// See `hypervisor::Appeared`.
    pub id: i32,
    /// See `hypervisor::Appeared`.
    pub name: String,
}

/// See `hypervisor::Survey`.
#[napi(object)]
pub struct JsSurvey {
    /// See `hypervisor::Survey`.
    pub failure: Option<JsFailure>,
    /// See `hypervisor::Survey`.
    pub handles: Uint32Array,
    /// See `hypervisor::Survey`.
    pub appeared: Vec<JsAppeared>,
    /// See `hypervisor::Survey`.
    pub changed: Uint32Array,
}

/// See `hypervisor::Description`; one of `xml` and `failure` is set.
#[napi(object)]
pub struct JsDescription {
    /// Whose.
    pub handle: u32,
    /// The definition.
    pub xml: Option<String>,
    /// Why there is none.
    pub failure: Option<JsFailure>,
}

/// See `hypervisor::Measurement`.
#[napi(object)]
pub struct JsMeasurement {
    /// See `hypervisor::Measurement`.
    pub verdicts: Uint8Array,
    /// See `hypervisor::Measurement`.
    pub offsets: Uint32Array,
    /// See `hypervisor::Measurement`.
    pub fields: Uint32Array,
    /// See `hypervisor::Measurement`.
    pub values: Float64Array,
    /// See `hypervisor::Measurement`.
    pub text_offsets: Uint32Array,
    /// See `hypervisor::Measurement`.
    pub text_fields: Uint32Array,
    /// See `hypervisor::Measurement`.
    pub texts: Uint32Array,
    /// See `hypervisor::Measurement`.
    pub dictionary_base: u32,
    /// See `hypervisor::Measurement`.
    pub dictionary_strings: Vec<String>,
    /// See `hypervisor::Measurement`.
    pub entities: Vec<JsEntity>,
    /// See `hypervisor::Measurement`.
    pub failures: Vec<JsFailure>,
    /// See `hypervisor::Measurement`.
    pub call_times: Vec<JsCallTime>,
}

/// See `host::Entity`.
#[napi(object)]
pub struct JsEntity {
    /// See `host::Entity`.
    pub kind: String,
    /// See `host::Entity`.
    pub texts: HashMap<String, String>,
    /// See `host::Entity`.
    pub numbers: HashMap<String, f64>,
}

/// Calls of one libvirt function.
#[napi(object)]
pub struct JsCallTime {
    /// The function.
    pub call: String,
    /// How many there were.
    pub count: u32,
    /// How long they took, all together.
    pub seconds: f64,
}

/// See `hypervisor::Status`.
#[napi(object)]
pub struct JsStatus {
    /// Whether a connection is open.
    pub connected: bool,
    /// Attempts to open one since the start.
    pub connection_attempts: f64,
    /// Attempts that succeeded.
    pub connections_opened: f64,
    /// Attempts that failed.
    pub connections_failed: f64,
    /// Connections lost or given up.
    pub connections_lost: f64,
    /// Abandoned calls that hold a worker of the daemon.
    pub abandoned_monitor_calls: u32,
    /// Other abandoned calls.
    pub abandoned_other_calls: u32,
    /// Domains, connections and kinds of calls about the host that are not asked because of them.
    pub quarantined: u32,
}

/// A hypervisor behind one libvirt URI. Every method returns at once; promises are never rejected by what libvirt
/// does: failures are part of the answers.
#[napi(js_name = "Hypervisor")]
pub struct JsHypervisor {
    hypervisor: Hypervisor,
}

#[napi]
impl JsHypervisor {
    /// Loads libvirt's client library and starts the threads; opens no connection.
    ///
    /// # Errors
    /// When the library is missing (code `LibraryMissing`), the URI holds a NUL byte, or no thread can start.
    #[napi(constructor)]
    #[allow(clippy::needless_pass_by_value, reason = "napi-rs hands objects over by value")]
    pub fn new(options: HypervisorOptions) -> Result<Self> {
        let library = library::library()
            .map_err(|reason| Error::new(NapiStatus::GenericFailure, reason.to_string()))?;
        let uri = connection::c_uri(&options.uri)
            .map_err(|error| Error::new(NapiStatus::InvalidArg, error.message))?;
        let hypervisor = Hypervisor::start(
            library,
            uri,
            options.concurrency as usize,
            options.maximum_abandoned as usize,
        )
        .map_err(|error| Error::new(NapiStatus::GenericFailure, error.to_string()))?;
        Ok(Self { hypervisor })
    }

    /// Which domains there are: a promise of a `JsSurvey`.
    ///
    /// # Errors
    /// Only when the runtime cannot make a promise.
    #[napi(ts_return_type = "Promise<JsSurvey>")]
    pub fn survey<'env>(&self, env: &'env Env, question: QuestionOptions) -> Result<Object<'env>> {
        let (answer, promise) = env.create_deferred()?;
        let reply = deferred_reply(answer, JsSurvey::from);
        self.hypervisor.survey(question.into(), reply);
        Ok(promise)
    }

    /// Definitions of surveyed domains: a promise of `JsDescription`s.
    ///
    /// # Errors
    /// Only when the runtime cannot make a promise.
    #[napi(ts_return_type = "Promise<JsDescription[]>")]
    #[allow(clippy::needless_pass_by_value, reason = "napi-rs hands arrays over by value")]
    pub fn describe<'env>(
        &self,
        env: &'env Env,
        question: QuestionOptions,
        handles: Uint32Array,
    ) -> Result<Object<'env>> {
        let (answer, promise) = env.create_deferred()?;
        let reply = deferred_reply(answer, |descriptions: Vec<Description>| {
            descriptions.into_iter().map(JsDescription::from).collect::<Vec<_>>()
        });
        self.hypervisor.describe(question.into(), handles.to_vec(), reply);
        Ok(promise)
    }

    /// The values of surveyed domains, in this order, and of the host: a promise of a `JsMeasurement`.
    ///
    /// # Errors
    /// Only when the runtime cannot make a promise.
    #[napi(ts_return_type = "Promise<JsMeasurement>")]
    #[allow(clippy::needless_pass_by_value, reason = "napi-rs hands arrays over by value")]
    pub fn measure<'env>(
        &self,
        env: &'env Env,
        question: QuestionOptions,
        handles: Uint32Array,
    ) -> Result<Object<'env>> {
        let (answer, promise) = env.create_deferred()?;
        let reply = deferred_reply(answer, JsMeasurement::from);
        self.hypervisor.measure(question.into(), handles.to_vec(), reply);
        Ok(promise)
    }

    /// Says which devices a domain has, by target name.
    #[napi]
    pub fn set_devices(&self, handle: u32, disks: Vec<String>, interfaces: Vec<String>) {
        self.hypervisor.set_devices(handle, Devices { disks, interfaces });
    }

    /// The state of the connection: a promise of a `JsStatus`.
    ///
    /// # Errors
    /// Only when the runtime cannot make a promise.
    #[napi(ts_return_type = "Promise<JsStatus>")]
    pub fn status<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (answer, promise) = env.create_deferred()?;
        let reply = deferred_reply(answer, JsStatus::from);
        self.hypervisor.status(reply);
        Ok(promise)
    }

    /// Closes the connection: a promise that is kept when libvirt has closed it, which may be never.
    ///
    /// # Errors
    /// Only when the runtime cannot make a promise.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (answer, promise) = env.create_deferred()?;
        let reply = deferred_reply(answer, |()| ());
        self.hypervisor.close(reply);
        Ok(promise)
    }
}

type Resolver<J> = Box<dyn FnOnce(Env) -> Result<J>>;

/// A reply that keeps a promise. The conversion runs on the JavaScript thread.
fn deferred_reply<T, J>(
    answer: JsDeferred<J, Resolver<J>>,
    convert: fn(T) -> J,
) -> hypervisor::Reply<T>
where
    T: Send + 'static,
    J: napi::bindgen_prelude::ToNapiValue + 'static,
{
    Box::new(move |value| answer.resolve(Box::new(move |_| Ok(convert(value)))))
}

impl From<QuestionOptions> for Question {
    fn from(options: QuestionOptions) -> Self {
        Self {
            deadline: Instant::now() + milliseconds(options.timeout_milliseconds),
            call_limit: milliseconds(options.call_timeout_milliseconds),
            groups: options.groups,
            domain_calls: options.domain_calls,
            host_calls: options.host_calls,
            inactive: options.inactive,
        }
    }
}

/// Not a number, negative and absurdly large ones become the nearest sensible duration.
fn milliseconds(value: f64) -> Duration {
    const LONGEST: f64 = 3_600_000.0;
    Duration::from_secs_f64(value.clamp(0.0, LONGEST).max(0.0) / 1_000.0)
}

impl JsFailure {
    fn new(error: LibvirtError, handle: Option<u32>, count: u32) -> Self {
        Self {
            call: error.call.to_string(),
            code: error.code,
            origin: error.origin,
            message: error.message,
            count,
            handle,
        }
    }
}

impl From<Failure> for JsFailure {
    fn from(failure: Failure) -> Self {
        Self::new(failure.error, failure.handle, failure.count)
    }
}

impl From<Survey> for JsSurvey {
    fn from(survey: Survey) -> Self {
        Self {
            failure: survey.failure.map(|error| JsFailure::new(error, None, 1)),
            handles: survey.handles.into(),
            appeared: survey
                .appeared
                .into_iter()
                .map(|domain| JsAppeared {
                    handle: domain.handle,
                    uuid: domain.uuid,
                    id: domain.id,
                    name: domain.name,
                })
                .collect(),
            changed: survey.changed.into(),
        }
    }
}

impl From<Description> for JsDescription {
    fn from(description: Description) -> Self {
        let handle = description.handle;
        match description.definition {
            Ok(xml) => Self { handle, xml: Some(xml), failure: None },
            Err(error) => {
                Self { handle, xml: None, failure: Some(JsFailure::new(error, Some(handle), 1)) }
            }
        }
    }
}

impl From<Measurement> for JsMeasurement {
    fn from(measurement: Measurement) -> Self {
        Self {
            verdicts: measurement.verdicts.into(),
            offsets: measurement.offsets.into(),
            fields: measurement.fields.into(),
            values: measurement.values.into(),
            text_offsets: measurement.text_offsets.into(),
            text_fields: measurement.text_fields.into(),
            texts: measurement.texts.into(),
            dictionary_base: measurement.dictionary_base,
            dictionary_strings: measurement.dictionary_strings,
            entities: measurement.entities.into_iter().map(JsEntity::from).collect(),
            failures: measurement.failures.into_iter().map(JsFailure::from).collect(),
            call_times: measurement.call_times.into_iter().map(JsCallTime::from).collect(),
        }
    }
}

impl From<Entity> for JsEntity {
    fn from(entity: Entity) -> Self {
        let texts = entity.texts.into_iter().map(|(name, text)| (name.to_string(), text));
        Self {
            kind: entity.kind.to_string(),
            texts: texts.collect(),
            numbers: entity.numbers.into_iter().collect(),
        }
    }
}

impl From<(&'static str, CallTime)> for JsCallTime {
    fn from((call, time): (&'static str, CallTime)) -> Self {
        Self { call: call.to_string(), count: time.count, seconds: time.duration.as_secs_f64() }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
impl From<Status> for JsStatus {
    fn from(status: Status) -> Self {
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            connected: status.connected,
            connection_attempts: status.connections.attempts as f64,
            connections_opened: status.connections.opened as f64,
            connections_failed: status.connections.failed as f64,
            connections_lost: status.connections.lost as f64,
            abandoned_monitor_calls: narrow(status.abandoned.guarded),
            abandoned_other_calls: narrow(status.abandoned.free),
            quarantined: narrow(status.abandoned.subjects),
        }
    }
}
