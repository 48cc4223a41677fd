//! Machine code of steps: in the cache under what it was made from and by, with a MAC beside it, so that only what this
//! installation compiled is ever run.

use core::time::Duration;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bue_model::{BlobHash, Bundle, Failure, FailureKind};
use bytes::Bytes;
use tokio::sync::{OnceCell, Semaphore};
use wasmtime::Engine;

use crate::error::RuntimeError;
use crate::host::wasm::contract::check_wasm;
use crate::host::wasm::engine::config;
use crate::parent::cache::{Cache, Tag};
use crate::parent::child::Child;
use crate::prepared::Prepared;
use crate::protocol::{self, FromHost, ToHost};
use crate::step::compiled_step::{CompiledStep, WasmKind};

/// A compiler that has not answered by then is killed. The largest steps take a quarter of it.
const TIME: Duration = Duration::from_secs(120);
/// Steps whose outcome is remembered in this process.
const REMEMBERED: usize = 1_000;
/// Compiled steps kept on disk: the ones made last.
const KEPT: usize = 500;

/// Compiles steps, each once.
pub struct StepCompiler {
    cache: Cache,
    /// Starts the child.
    command: (PathBuf, Vec<OsString>),
    /// What a compiled file must have been made by.
    engine: u64,
    known: Mutex<HashMap<BlobHash, Known>>,
    /// One at a time: a compiler uses every core.
    turn: Semaphore,
}

type Known = Arc<OnceCell<Result<CompiledStep, Failure>>>;

impl core::fmt::Debug for StepCompiler {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("StepCompiler").field("command", &self.command).finish_non_exhaustive()
    }
}

impl StepCompiler {
    /// With the cache of what was prepared, and the command that starts sandbox hosts.
    ///
    /// # Errors
    /// A cache that cannot be used.
    pub fn open(prepared: &Prepared, command: (PathBuf, Vec<OsString>)) -> Result<Self, RuntimeError> {
        let mut compatible = DefaultHasher::new();
        Engine::new(&config())?.precompile_compatibility_hash().hash(&mut compatible);
        let cache = Cache::open(&prepared.cache)?;
        let engine = compatible.finish();
        Ok(Self { cache, command, engine, known: Mutex::default(), turn: Semaphore::new(1) })
    }

    /// The code of the step that is the bundle's entry.
    ///
    /// # Errors
    /// A failure of the step. One that is its own fault is remembered.
    pub async fn compile(&self, bundle: &Bundle, key: BlobHash) -> Result<CompiledStep, Failure> {
        let made = self.made(bundle, key).await?;
        if made.code.exists() {
            return Ok(made);
        }
        // another process of ours took it away, because so many were made after it
        self.forget(key);
        self.made(bundle, key).await
    }

    async fn made(&self, bundle: &Bundle, key: BlobHash) -> Result<CompiledStep, Failure> {
        let known = self.known(key);
        let made = known.get_or_try_init(|| async {
            match self.find_or_make(bundle).await {
                Err(failure) if failure.kind == FailureKind::Internal => Err(failure),
                made => Ok(made),
            }
        });
        made.await?.clone()
    }

    fn forget(&self, key: BlobHash) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    fn known(&self, key: BlobHash) -> Known {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(&key) {
            known.clear();
        }
        Arc::clone(known.entry(key).or_default())
    }

    async fn find_or_make(&self, bundle: &Bundle) -> Result<CompiledStep, Failure> {
        let wasm = bundle.entry_content().ok_or_else(|| bad_code(&bundle.entry, "it is not in its bundle"))?;
        let kind =
            check_wasm(wasm).map_err(|problem| bad_code(&bundle.entry, &format!("{problem}; {}", problem.hint)))?;
        let name = self.name(wasm);
        if let Some(code) = self.find(&name) {
            return Ok(CompiledStep { kind, code });
        }
        let code = self.make(kind, wasm.clone(), &bundle.entry).await?;
        let code = self.store(&name, &code).map_err(|error| internal(&error.to_string()))?;
        Ok(CompiledStep { kind, code })
    }

    /// Says what was compiled by what.
    fn name(&self, wasm: &[u8]) -> String {
        let mut id = blake3::Hasher::new();
        id.update(&self.engine.to_le_bytes()).update(env!("CARGO_PKG_VERSION").as_bytes()).update(wasm);
        id.finalize().to_hex().to_string()
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        let tag = fs::read(self.cache.path(&format!("{name}.step-tag"))).ok()?;
        let code = self.cache.path(&format!("{name}.step"));
        (tag == self.tag(name, &code)?).then_some(code)
    }

    /// Binds the file to its name: another file of ours in its place is refused too.
    fn tag(&self, name: &str, code: &Path) -> Option<Tag> {
        let content = self.cache.file_tag(code).ok()?;
        Some(self.cache.tag(&[name.as_bytes(), &content].concat()))
    }

    fn store(&self, name: &str, code: &[u8]) -> Result<PathBuf, RuntimeError> {
        let file = format!("{name}.step");
        self.cache.write(&file, |mut file| file.write_all(code))?;
        let path = self.cache.path(&file);
        let tag = self.tag(name, &path).ok_or_else(|| RuntimeError::Engine(format!("read {}", path.display())))?;
        self.cache.write(&format!("{name}.step-tag"), |mut file| file.write_all(&tag))?;
        for old in self.cache.newest(".step").into_iter().skip(KEPT) {
            // one that stays behind costs space and nothing else
            let _ = fs::remove_file(self.cache.path(&format!("{old}-tag")));
            let _ = fs::remove_file(self.cache.path(&old));
        }
        Ok(path)
    }

    async fn make(&self, kind: WasmKind, wasm: Bytes, entry: &str) -> Result<Bytes, Failure> {
        let _turn = self.turn.acquire().await;
        let frame = protocol::frame(&ToHost::Compile { kind, wasm }).map_err(|error| internal(&error.to_string()))?;
        let mut child = Child::spawn(&self.command).map_err(|error| internal(&error.to_string()))?;
        child.send(frame);
        let said = tokio::time::timeout(TIME, child.next()).await;
        child.end().await;
        match said {
            Ok(Ok(Some(FromHost::Compiled(code)))) => Ok(code),
            Ok(Ok(Some(FromHost::Refused(why)))) => Err(bad_code(entry, &why)),
            Ok(Ok(None)) => Err(bad_code(entry, "compiling it took more memory or processor time than it may")),
            Ok(Ok(Some(_))) => Err(internal("the compiler said something else")),
            Ok(Err(error)) => Err(internal(&error.to_string())),
            Err(_) => Err(bad_code(entry, &format!("compiling it took longer than {} s", TIME.as_secs()))),
        }
    }
}

fn bad_code(entry: &str, why: &str) -> Failure {
    Failure::new(FailureKind::BadCode, format!("`{entry}` cannot be run: {why}."))
}

fn internal(why: &str) -> Failure {
    Failure::new(FailureKind::Internal, format!("The step could not be compiled: {why}"))
}
