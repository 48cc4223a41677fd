//! Components: the host's side of `guest-sdk/wit/step.wit`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use bue_model::job::{Hints, INLINE_LIMIT};
use bue_model::text::truncate_bytes;
use bue_model::{Answer, Failure, FailureKind};
use wasmtime::component::{Component as Code, HasSelf, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::add_to_linker_async;
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::add_only_http_to_linker_async;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use self::bindings::bue::step::types::FailureKind as WitFailureKind;
use self::bindings::bue::step::{blob, host, types};
use self::bindings::exports::bue::step::guest::{Call, Outcome};
use self::bindings::{Step, StepPre};
use super::calls::Calls;
use super::http::Requests;
use super::step::{ProgramRun, WasmStep, abort_failure};
use crate::error::RuntimeError;
use crate::host::engine::HOSTCALL_FUEL;
use crate::host::host_call_hook::{HasStepState, HostCallHook};
use crate::host::state::StepState;
use crate::host::wasi;
use crate::step::limits::bytes_text;
use crate::step::log::Channel;
use crate::step::net_port::NetPort;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../guest-sdk/wit",
        world: "step",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

/// Limit of headers in bytes, as wasmtime counts them: with some overhead per field.
const MAX_FIELD_BYTES: usize = 64 * 1024;
/// Bytes of the text of a failure, which is read by people and stored in the hub.
const MAX_FAILURE_TEXT: usize = 64 * 1024;
/// At most one line of `progress` is printed per this time.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// The linked code of a component.
pub(crate) struct Component {
    pre: StepPre<State>,
    engine: Engine,
}

/// The data of a component's store.
struct State {
    step: StepState,
    calls: Calls,
    http: WasiHttpCtx,
    requests: Requests,
    /// When a line of progress was last printed.
    last_progress: Option<Instant>,
    /// Bytes of blobs stored and read so far.
    blob_bytes: u64,
}

impl Component {
    /// Links compiled code.
    ///
    /// # Safety
    /// This installation must have compiled it, and nothing may change the file: its content is executed.
    pub(crate) unsafe fn load(engine: &Engine, code: &File) -> Result<Self, RuntimeError> {
        let code = read(code).map_err(RuntimeError::Memory)?;
        // SAFETY: the caller vouches for the file, of which this is a copy.
        let code = unsafe { Code::deserialize(engine, code)? };
        let mut linker = Linker::new(engine);
        add_to_linker_async(&mut linker)?;
        add_only_http_to_linker_async(&mut linker)?;
        Step::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        Ok(Self { pre: StepPre::new(linker.instantiate_pre(&code)?)?, engine: engine.clone() })
    }

    /// Executes it once, to its end.
    pub(crate) async fn execute(&self, step: WasmStep<'_>, net: NetPort) -> ProgramRun {
        let (calls, completions) = Calls::new(net, step.context.log);
        let mut store = Store::new(&self.engine, State::new(step, calls));
        store.limiter(|state| &mut state.step);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut caller| caller.data_mut().step.on_epoch());
        store.call_hook_async(HostCallHook);
        let result = usize::try_from(step.task.limits.result_bytes).unwrap_or(usize::MAX);
        store.set_hostcall_fuel(HOSTCALL_FUEL.saturating_add(result));
        let called = tokio::select! {
            biased;
            called = self.call(&mut store, step) => called,
            never = completions.deliver() => match never {},
        };
        let answer = match called {
            Ok(answer) => answer,
            Err(error) => Err(abort_failure(&error, &store.data().step)),
        };
        ProgramRun { answer, memory_bytes: store.data().step.memory_bytes }
    }

    async fn call(&self, store: &mut Store<State>, step: WasmStep<'_>) -> wasmtime::Result<Result<Answer, Failure>> {
        let call = Call {
            function: step.function.to_owned(),
            inputs: step.task.inputs.iter().map(|input| input.to_vec()).collect(),
            env: step.task.env.as_ref().map(|env| env.to_vec()),
        };
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let result = instance.bue_step_guest().call_run(&mut *store, &call).await?;
        Ok(result.map_err(to_failure).and_then(to_answer))
    }
}

/// Reads a whole file. wasmtime maps the open files of modules, but not those of components.
fn read(file: &File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn to_answer(outcome: Outcome) -> Result<Answer, Failure> {
    let answer = match outcome {
        Outcome::Completed(completed) => {
            check_env(completed.env.as_deref())?;
            let hints = Hints { priority: completed.priority, env: completed.env.map(Into::into), scope: None };
            Answer::Completed { value: completed.value.into(), streamed: false, hints }
        }
        Outcome::Pending(delay_ms) => Answer::Pending { delay_ms, scope: None },
        Outcome::Reset(delay_ms) => Answer::Reset { delay_ms },
        Outcome::Cancelled => Answer::Cancelled,
    };
    Ok(answer)
}

/// Refuses an environment that is too large to travel with the jobs that get it.
fn check_env(env: Option<&[u8]>) -> Result<(), Failure> {
    match env {
        Some(env) if env.len() > INLINE_LIMIT => {
            let message = format!(
                "the step set an `env` of {} bytes, and at most {INLINE_LIMIT} can pass to the steps after it; put large \
                 values into the result instead",
                env.len()
            );
            Err(Failure::new(FailureKind::BadResult, message))
        }
        _ => Ok(()),
    }
}

fn to_failure(failure: types::Failure) -> Failure {
    let kind = match failure.kind {
        WitFailureKind::Raised => FailureKind::Raised,
        WitFailureKind::Denied => FailureKind::Denied,
        WitFailureKind::BadInput => FailureKind::BadInput,
        WitFailureKind::BadResult => FailureKind::BadResult,
        WitFailureKind::BadCode => FailureKind::BadCode,
    };
    let (mut message, mut trace) = (failure.message, failure.trace);
    let texts = core::iter::once(&mut message).chain(trace.as_mut());
    texts.for_each(|text| truncate_bytes(text, MAX_FAILURE_TEXT));
    Failure { kind, message, trace, retry_after_ms: failure.retry_after_ms }
}

impl HasStepState for State {
    fn step_state(&mut self) -> &mut StepState {
        &mut self.step
    }
}

impl State {
    fn new(step: WasmStep<'_>, calls: Calls) -> Self {
        let wasi = wasi::context(step.context.log, None);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_FIELD_BYTES);
        let state = StepState::with_wasi(step.context, wasi).into_component();
        let requests = Requests(calls.clone());
        Self { step: state, calls, http, requests, last_progress: None, blob_bytes: 0 }
    }

    fn print(&self, line: &str) -> wasmtime::Result<()> {
        let line = format!("{}\n", line.trim_end_matches('\n'));
        self.step.log.print(Channel::Out, line.as_bytes()).map_err(wasmtime::Error::new)
    }

    /// Counts bytes of a blob that is stored or read, or returns why the step may not.
    fn count_blob(&mut self, bytes: u64) -> Result<(), String> {
        let (max_blob, max_total) = (self.step.limits.result_bytes, self.step.limits.stream_bytes);
        if bytes > max_blob {
            return Err(format!("a blob may have {} (`result_bytes`); cut it into several", bytes_text(max_blob)));
        }
        self.blob_bytes = self.blob_bytes.saturating_add(bytes);
        match self.blob_bytes <= max_total {
            true => Ok(()),
            false => Err(format!("a step's blobs may have {} together (`stream_bytes`)", bytes_text(max_total))),
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.step.wasi.ctx()
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.requests, table: self.step.wasi.ctx().table, ctx: &mut self.http }
    }
}

impl types::Host for State {}

impl host::Host for State {
    async fn log(&mut self, line: String) -> wasmtime::Result<()> {
        self.print(&line)
    }

    async fn progress(&mut self, done: u64, total: Option<u64>, note: String) -> wasmtime::Result<()> {
        let now = Instant::now();
        if self.last_progress.is_some_and(|last| now.duration_since(last) < PROGRESS_INTERVAL) {
            return Ok(());
        }
        self.last_progress = Some(now);
        let of_total = total.map(|total| format!(" of {total}")).unwrap_or_default();
        self.print(format!("progress: {done}{of_total} {note}").trim_end())
    }

    async fn secret(&mut self, name: String) -> wasmtime::Result<Result<String, String>> {
        Ok(self.calls.secret(name).await)
    }
}

impl blob::Host for State {
    async fn put(&mut self, bytes: Vec<u8>) -> wasmtime::Result<Result<String, String>> {
        if let Err(message) = self.count_blob(bytes.len() as u64) {
            return Ok(Err(message));
        }
        Ok(self.calls.put_blob(bytes.into()).await)
    }

    async fn get(&mut self, name: String) -> wasmtime::Result<Result<Vec<u8>, String>> {
        let Ok(hash) = name.parse() else {
            return Ok(Err("the name of a blob has 64 hexadecimal digits".to_owned()));
        };
        let bytes = match self.calls.get_blob(hash).await {
            Ok(bytes) => bytes,
            Err(message) => return Ok(Err(message)),
        };
        Ok(self.count_blob(bytes.len() as u64).map(|()| bytes.to_vec()))
    }
}
