//! Plain WASI commands: a JSON array of the inputs on standard input, the result as JSON on standard output. Exit code 0 is
//! success; any other is a failure whose message is what was written to standard error.

use std::fs::File;

use bue_model::cbor::Lengths;
use bue_model::job::Hints;
use bue_model::{Answer, EncodedJson, Failure, FailureKind};
use bytes::Bytes;
use wasmtime::{Engine, InstancePre, Linker, Module, Store};
use wasmtime_wasi::{I32Exit, p1};

use super::step::{ProgramRun, WasmStep, abort_failure};
use crate::error::RuntimeError;
use crate::host::captured_output::CapturedOutput;
use crate::host::engine::HOSTCALL_FUEL;
use crate::host::host_call_hook::HostCallHook;
use crate::host::state::StepState;
use crate::host::wasi;
use crate::step::failure;

/// The linked code of a command.
pub(crate) struct Command {
    pre: InstancePre<StepState>,
}

impl Command {
    /// Maps compiled code.
    ///
    /// # Safety
    /// This installation must have compiled it, and nothing may change the file: its content is executed.
    pub(crate) unsafe fn load(engine: &Engine, code: &File) -> Result<Self, RuntimeError> {
        let code = code.try_clone().map_err(RuntimeError::Memory)?;
        // SAFETY: the caller vouches for the file.
        let module = unsafe { Module::deserialize_open_file(engine, code)? };
        let mut linker = Linker::new(engine);
        p1::add_to_linker_async(&mut linker, |state: &mut StepState| &mut state.wasi)?;
        Ok(Self { pre: linker.instantiate_pre(&module)? })
    }

    /// Executes it once, to its end.
    pub(crate) async fn execute(&self, step: WasmStep<'_>) -> ProgramRun {
        let inputs = step.task.inputs.clone();
        let bytes = inputs.iter().map(Bytes::len).sum();
        let input = match convert(bytes, move || input(&inputs)).await {
            Ok(input) => input,
            Err(failure) => return ProgramRun { answer: Err(failure), memory_bytes: 0 },
        };
        let output = CapturedOutput::new(step.task.limits.result_bytes);
        let wasi = wasi::filter_context(step.context.log, input, output.clone());
        let state = StepState::with_wasi(step.context, wasi);
        let mut store = Store::new(self.pre.module().engine(), state);
        store.limiter(|state| state);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut caller| caller.data_mut().on_epoch());
        store.call_hook_async(HostCallHook);
        store.set_hostcall_fuel(HOSTCALL_FUEL);
        let started = self.start(&mut store).await;
        let answer = match started {
            Ok(()) => {
                let output = output.take();
                convert(output.len(), move || answer(&output)).await
            }
            Err(error) => Err(to_failure(&error, &output, store.data())),
        };
        ProgramRun { answer, memory_bytes: store.data().memory_bytes }
    }

    async fn start(&self, store: &mut Store<StepState>) -> wasmtime::Result<()> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
        match start.call_async(&mut *store, ()).await {
            // `exit(0)` is success too
            Err(error) if matches!(error.downcast_ref(), Some(I32Exit(0))) => Ok(()),
            result => result,
        }
    }
}

/// Bytes of JSON or values up to which a conversion is too short to hand it to another thread.
const SHORT_BYTES: usize = 64 << 10;

/// Converts inputs or a result: on another thread if they are long, because all steps of the host share this one.
async fn convert<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    if bytes <= SHORT_BYTES {
        return work();
    }
    let result = tokio::task::spawn_blocking(work).await;
    result.unwrap_or_else(|error| Err(Failure::new(FailureKind::Internal, format!("JSON was not converted: {error}"))))
}

/// The inputs as one JSON array.
fn input(inputs: &[Bytes]) -> Result<Bytes, Failure> {
    let mut json = vec![b'['];
    for (position, input) in inputs.iter().enumerate() {
        if position > 0 {
            json.push(b',');
        }
        let value = EncodedJson::new(input).map_err(|error| unreadable(position, &error))?;
        serde_json::to_writer(&mut json, &value).map_err(|error| unreadable(position, &error))?;
    }
    json.push(b']');
    Ok(json.into())
}

fn unreadable(position: usize, error: &dyn core::fmt::Display) -> Failure {
    Failure::new(FailureKind::BadInput, format!("Input {} cannot be read: {error}", position + 1))
}

/// Reads the output as one JSON value. No output at all is null.
fn answer(output: &[u8]) -> Result<Answer, Failure> {
    let output = if output.trim_ascii().is_empty() { b"null".as_slice() } else { output };
    let value = encode_json(output).map_err(|error| {
        let start = String::from_utf8_lossy(output.get(..60).unwrap_or(output)).escape_debug().to_string();
        let message = format!(
            "The step's standard output is not one JSON value: {error}. It begins with `{start}`. Write the result there \
             and nothing else; write messages to standard error"
        );
        Failure::new(FailureKind::BadResult, message)
    })?;
    if let Some(integer) = rounded_integer(output) {
        let message = format!(
            "The step's result has the integer {integer}, which is beyond 64 bits and would be rounded; write it as text"
        );
        return Err(Failure::new(FailureKind::BadResult, message));
    }
    Ok(Answer::Completed { value: value.into(), streamed: false, hints: Hints::default() })
}

fn encode_json(json: &[u8]) -> serde_json::Result<Vec<u8>> {
    let mut measured = serde_json::Deserializer::from_slice(json);
    let lengths = Lengths::of(&mut measured)?;
    measured.end()?;
    lengths.encode(&mut serde_json::Deserializer::from_slice(json))
}

/// The first integer of a valid JSON text that its parser reads as a float because it is beyond 64 bits.
fn rounded_integer(json: &[u8]) -> Option<String> {
    let json = core::str::from_utf8(json).ok()?;
    // texts are every other piece between quotes that are not escaped
    let mut in_text = false;
    let mut escaped = false;
    let outside = json.split(|char: char| {
        let is_quote = char == '"' && !escaped;
        escaped = in_text && char == '\\' && !escaped;
        in_text ^= is_quote;
        in_text || is_quote || ",:[]{}".contains(char) || char.is_ascii_whitespace()
    });
    let mut integers =
        outside.filter(|token| token.strip_prefix('-').unwrap_or(token).bytes().all(|byte| byte.is_ascii_digit()));
    integers
        .find(|token| token.len() > 18 && token.parse::<i64>().is_err() && token.parse::<u64>().is_err())
        .map(str::to_owned)
}

fn to_failure(error: &wasmtime::Error, output: &CapturedOutput, state: &StepState) -> Failure {
    if let Some(exceeded) = output.exceeded() {
        return failure::limit(exceeded.to_string());
    }
    let Some(I32Exit(code)) = error.downcast_ref() else { return abort_failure(error, state) };
    let output = state.log.tail();
    let message = match output.is_empty() {
        true => format!("The step ended with exit code {code} and printed nothing"),
        false => output,
    };
    Failure::new(FailureKind::Raised, message)
}
