//! Compiles steps to machine code. The cache keeps it under a hash of the module and the compiler, with a MAC beside it, so
//! that only code of this installation is ever run.
//!
//! One compiler runs at a time, because it uses every core, and a large module takes minutes. The runs whose modules wait take
//! turns, so that one with many modules delays another by two of them at most. A module is fetched when its turn has come: until
//! then, a job that waits needs no memory.

use core::convert::Infallible;
use core::time::Duration;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bue_model::{BlobHash, Bundle, Failure, FailureKind};
use bytes::Bytes;
use tokio::sync::Notify;
use wasmtime::Engine;

use crate::error::RuntimeError;
use crate::host::wasm::contract::check_wasm;
use crate::host::wasm::engine::config;
use crate::parent::cache::{Cache, Tag};
use crate::parent::child::Child;
use crate::parent::fair_places::FairPlaces;
use crate::parent::sealed;
use crate::prepared::Prepared;
use crate::protocol::{self, FromHost, ToHost};
use crate::step::compiled_step::{CompiledStep, WasmKind};
use crate::wall::parent::user_of_compiler;
use crate::wall::spec::{WallMode, WallSpec};

/// A compiler that takes longer than this is killed. The largest steps take a quarter of it.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(120);
/// Outcomes that are cached in this process at most.
const MAX_CACHED_OUTCOMES: usize = 1_000;
/// Bytes of their code at most; more is read from the disk again.
const MAX_CACHED_BYTES: u64 = 256 << 20;
/// Compiled steps that are kept on disk: the last modified ones.
const MAX_CACHED_FILES: usize = 500;

/// The signals that a process gets from others. Its limits have their own: SIGXCPU for the processor time, and SIGABRT, with which
/// it ends when it gets no memory.
const ENDED_BY_OTHERS: [i32; 5] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL, libc::SIGTERM];

/// Compiles steps, each once.
pub struct StepCompiler {
    cache: Arc<Cache>,
    /// The command that starts the child.
    command: (PathBuf, Vec<OsString>),
    wall: WallMode,
    /// A hash of the engine, which compiled files must match.
    engine: u64,
    outcomes: Mutex<Outcomes>,
    /// One place, for one compiler.
    turns: FairPlaces,
}

/// Outcomes by the key of their bundle.
#[derive(Default)]
struct Outcomes {
    cached: HashMap<BlobHash, CachedOutcome>,
    /// Bytes of code that were added since the last time it was emptied.
    bytes: u64,
}

type CachedOutcome = Arc<Outcome>;

/// What compiling a module came to, once it is known.
#[derive(Default)]
struct Outcome {
    result: OnceLock<Result<CompiledStep, Failure>>,
    known: Notify,
}

/// Why there is no code.
#[derive(Debug)]
pub enum CompileError<E> {
    /// The module could not be fetched.
    Load(E),
    /// The step is at fault, or the compiler could not run.
    Failed(Failure),
}

impl core::fmt::Debug for StepCompiler {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("StepCompiler").field("command", &self.command).finish_non_exhaustive()
    }
}

impl StepCompiler {
    /// Uses the cache of the prepared sandbox, and the command that starts sandbox hosts.
    ///
    /// # Errors
    /// An engine that cannot be created.
    pub fn open(prepared: &Prepared, command: (PathBuf, Vec<OsString>), wall: WallMode) -> Result<Self, RuntimeError> {
        let mut compatible = DefaultHasher::new();
        Engine::new(&config())?.precompile_compatibility_hash().hash(&mut compatible);
        let cache = Arc::clone(&prepared.cache);
        let engine = compatible.finish();
        Ok(Self { cache, command, wall, engine, outcomes: Mutex::default(), turns: FairPlaces::new(|| 1) })
    }

    /// Returns the code of the step that is the bundle's entry.
    ///
    /// # Errors
    /// A failure of the step. One that the step itself causes is cached.
    pub async fn compile(&self, bundle: &Bundle, key: BlobHash) -> Result<CompiledStep, Failure> {
        let load = async { Ok::<_, Infallible>(Arc::new(bundle.clone())) };
        self.compile_in_turn(0, key, load).await.map_err(|error| match error {
            CompileError::Load(never) => match never {},
            CompileError::Failed(failure) => failure,
        })
    }

    /// Returns the code of the step with this key, or its failure, if it is known already.
    #[must_use]
    pub fn known(&self, key: BlobHash) -> Option<Result<CompiledStep, Failure>> {
        self.cached(key).result.get().cloned()
    }

    /// The same as [`Self::compile`] for one of several runs, which take turns. The bundle is loaded when it is its turn.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub async fn compile_in_turn<E>(
        &self,
        run: u128,
        key: BlobHash,
        load: impl Future<Output = Result<Arc<Bundle>, E>>,
    ) -> Result<CompiledStep, CompileError<E>> {
        let outcome = self.cached(key);
        let _turn = loop {
            // created before the check, so that an outcome in between is noticed
            let known = outcome.known.notified();
            if let Some(result) = outcome.result.get() {
                return result.clone().map_err(CompileError::Failed);
            }
            tokio::select! {
                biased;
                () = known => {}
                turn = self.turns.take(run) => break turn,
            }
        };
        // another job with the same module may have had its turn before
        if let Some(result) = outcome.result.get() {
            return result.clone().map_err(CompileError::Failed);
        }
        let bundle = load.await.map_err(CompileError::Load)?;
        let result = self.find_or_compile(&bundle).await;
        if !matches!(&result, Err(failure) if failure.kind == FailureKind::Internal) {
            // nobody else has a turn, so it is not set yet
            let _ = outcome.result.set(result.clone());
            outcome.known.notify_waiters();
        }
        result.map_err(CompileError::Failed)
    }

    fn cached(&self, key: BlobHash) -> CachedOutcome {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = outcomes.cached.len() >= MAX_CACHED_OUTCOMES || outcomes.bytes >= MAX_CACHED_BYTES;
        if is_full && !outcomes.cached.contains_key(&key) {
            *outcomes = Outcomes::default();
        }
        Arc::clone(outcomes.cached.entry(key).or_default())
    }

    fn count_bytes(&self, code: &File) {
        // sealed memory always has a length
        let bytes = code.metadata().map_or(0, |metadata| metadata.len());
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).bytes += bytes;
    }

    async fn find_or_compile(&self, bundle: &Bundle) -> Result<CompiledStep, Failure> {
        let wasm = bundle.entry_content().ok_or_else(|| bad_code(&bundle.entry, "it is not in its bundle"))?;
        let module = wasm.clone();
        // a module of 32 MiB takes a while
        let checked = tokio::task::spawn_blocking(move || check_wasm(&module)).await;
        let checked = checked.map_err(|error| internal(&error.to_string()))?;
        let kind = checked.map_err(|problem| bad_code(&bundle.entry, &format!("{problem}; {}", problem.hint)))?;
        let key = self.key(wasm);
        let name = key.to_string();
        let code = match self.find(&name) {
            Some(code) => code,
            None => {
                let code = self.compile_in_child(kind, wasm.clone(), &bundle.entry).await?;
                self.store(&name, &code).map_err(|error| internal(&error.to_string()))?
            }
        };
        self.count_bytes(&code);
        Ok(CompiledStep { kind, key, code: Arc::new(code) })
    }

    /// Returns the key of a module's code: a hash of the module and of what compiles it.
    fn key(&self, wasm: &[u8]) -> BlobHash {
        let mut id = blake3::Hasher::new();
        id.update(&self.engine.to_le_bytes()).update(env!("CARGO_PKG_VERSION").as_bytes()).update(wasm);
        BlobHash(*id.finalize().as_bytes())
    }

    fn find(&self, name: &str) -> Option<File> {
        let tag = fs::read(self.cache.path(&format!("{name}.step-tag"))).ok()?;
        let (code, content) = self.cache.read_sealed(&format!("{name}.step")).ok()?;
        (tag == self.tag(name, &content)).then_some(code)
    }

    /// Returns the MAC of a file's name and the MAC of its content, so that another valid file in its place is refused.
    fn tag(&self, name: &str, content: &Tag) -> Tag {
        self.cache.tag(&[name.as_bytes(), content].concat())
    }

    fn store(&self, name: &str, code: &[u8]) -> Result<File, RuntimeError> {
        self.cache.write(&format!("{name}.step"), |mut file| file.write_all(code))?;
        let tag = self.tag(name, &self.cache.tag(code));
        self.cache.write(&format!("{name}.step-tag"), |mut file| file.write_all(&tag))?;
        for old in self.cache.newest(".step").into_iter().skip(MAX_CACHED_FILES) {
            // a file that cannot be removed only takes space
            let _ = fs::remove_file(self.cache.path(&format!("{old}-tag")));
            let _ = fs::remove_file(self.cache.path(&old));
        }
        sealed::from_bytes(code).map_err(RuntimeError::Memory)
    }

    async fn compile_in_child(&self, kind: WasmKind, wasm: Bytes, entry: &str) -> Result<Bytes, Failure> {
        let wall = WallSpec { mode: self.wall, user: user_of_compiler(), packages: false };
        let frame =
            protocol::frame(&ToHost::Compile { kind, wasm, wall }).map_err(|error| internal(&error.to_string()))?;
        let mut child = Child::spawn(&self.command).map_err(|error| internal(&error.to_string()))?;
        child.send(frame);
        let reply = tokio::time::timeout(COMPILE_TIMEOUT, child.next()).await;
        let ended = child.end().await;
        match reply {
            Ok(Ok(Some(FromHost::Compiled(code)))) => Ok(code),
            Ok(Ok(Some(FromHost::Refused(reason)))) => Err(bad_code(entry, &reason)),
            Ok(Ok(Some(FromHost::CompilerFailed(reason)))) => Err(internal(&reason)),
            Ok(Ok(None)) => Err(failure_of_end(entry, ended)),
            Ok(Ok(Some(_))) => Err(internal("the compiler sent an unexpected message")),
            Ok(Err(error)) => Err(internal(&error.to_string())),
            Err(_) => Err(bad_code(entry, &format!("compiling it took longer than {} s", COMPILE_TIMEOUT.as_secs()))),
        }
    }
}

/// The failure of a step whose compiler ended without a reply. The step is not at fault if somebody else ended it: an
/// administrator, or the kernel, which lacked memory.
fn failure_of_end(entry: &str, ended: Option<ExitStatus>) -> Failure {
    match ended.and_then(|status| status.signal()) {
        Some(signal) if ENDED_BY_OTHERS.contains(&signal) => {
            internal(&format!("the compiler was ended by signal {signal}"))
        }
        _ => bad_code(entry, "compiling it took more memory or processor time than allowed"),
    }
}

fn bad_code(entry: &str, reason: &str) -> Failure {
    Failure::new(FailureKind::BadCode, format!("`{entry}` cannot be run: {reason}."))
}

fn internal(reason: &str) -> Failure {
    Failure::new(FailureKind::Internal, format!("The step could not be compiled: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_not_at_fault_if_somebody_else_ended_its_compiler() {
        for (status, kind) in [
            (Some(ExitStatus::from_raw(libc::SIGKILL)), FailureKind::Internal),
            (Some(ExitStatus::from_raw(libc::SIGTERM)), FailureKind::Internal),
            (Some(ExitStatus::from_raw(libc::SIGXCPU)), FailureKind::BadCode),
            (Some(ExitStatus::from_raw(libc::SIGABRT)), FailureKind::BadCode),
            (Some(ExitStatus::from_raw(1 << 8)), FailureKind::BadCode),
            (None, FailureKind::BadCode),
        ] {
            assert_eq!(failure_of_end("x.wasm", status).kind, kind, "{status:?}");
        }
    }
}
