//! What every sandbox needs and nobody wants to wait for twice: the compiled guest and its base image, in the cache.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::Path;
use std::thread;

use bue_model::BlobHash;
use wasmtime::Engine;

use crate::error::RuntimeError;
use crate::host::engine::GuestEngine;
use crate::host::memory::image::{Image, write_sparse};
use crate::host::python::guest::GuestCode;
use crate::host::python::split::split;
use crate::packages::mount::Mount;
use crate::parent::cache::Cache;
use crate::prepared::{Prepared, PreparedFiles, Seal};

/// Changes when files of an older bue cannot be used although guest and engine are the same.
const FORMAT: u32 = 2;

/// Versions of the files that are kept: the ones used last.
const KEPT: usize = 3;

/// The module that interprets Python.
#[derive(Clone, Debug)]
pub struct GuestModule {
    /// BLAKE3 of what `bytes` say.
    pub hash: BlobHash,
    /// The module.
    pub bytes: GuestBytes,
}

/// A guest module's bytes.
#[derive(Clone, Debug)]
pub enum GuestBytes {
    /// Packed by zstd; unpacked only where it must be compiled.
    Packed(&'static [u8]),
    /// As it is.
    Plain(Vec<u8>),
}

impl GuestModule {
    /// The Python guest that was built with this crate.
    ///
    /// # Errors
    /// A build that gave it no proper hash.
    fn python() -> Result<Self, RuntimeError> {
        let hash =
            env!("BUE_PYTHON_GUEST_HASH").parse().map_err(|_| RuntimeError::Guest("read its hash".to_owned()))?;
        let packed = include_bytes!(concat!(env!("OUT_DIR"), "/python_guest.wasm.zst"));
        Ok(Self { hash, bytes: GuestBytes::Packed(packed) })
    }
}

impl Prepared {
    /// Compiles the Python guest and makes its base image, or finds both in the directory `cache`. The first time takes
    /// some ten seconds; later the files are only checked. `progress` is told what takes long.
    ///
    /// # Errors
    /// A cache that cannot be used.
    pub fn open(cache: &Path, progress: &dyn Fn(&str)) -> Result<Self, RuntimeError> {
        Self::open_guest(cache, &GuestModule::python()?, progress)
    }

    /// The same with a guest of one's own, which keeps the contract of [`bue_model::guest`]. For tests with small hostile
    /// guests.
    ///
    /// # Errors
    /// A cache that cannot be used, or a guest that cannot be compiled or started.
    pub fn open_guest(dir: &Path, guest: &GuestModule, progress: &dyn Fn(&str)) -> Result<Self, RuntimeError> {
        let cache = Cache::open(dir)?;
        let engine = GuestEngine::new()?;
        let names = Names::new(guest, &engine.engine);
        if let Some(files) = names.find(&cache) {
            return Ok(Self { files, cache: dir.to_owned() });
        }
        let _lock = cache.lock(progress)?;
        // whoever held the lock before may have made them
        let files = match names.find(&cache) {
            Some(files) => files,
            None => names.make(&cache, engine, guest, progress)?,
        };
        names.prune(&cache);
        Ok(Self { files, cache: dir.to_owned() })
    }
}

/// The files' names: they say what was compiled by what.
struct Names {
    code: String,
    image: String,
    seal: String,
}

impl Names {
    fn new(guest: &GuestModule, engine: &Engine) -> Self {
        let mut compatible = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut compatible);
        let mut id = blake3::Hasher::new();
        id.update(&FORMAT.to_le_bytes()).update(&guest.hash.0).update(&compatible.finish().to_le_bytes());
        id.update(env!("CARGO_PKG_VERSION").as_bytes());
        let id = id.finalize().to_hex();
        Self { code: format!("{id}.cwasm"), image: format!("{id}.image"), seal: format!("{id}.seal") }
    }

    /// The files, if they are there and are what was sealed.
    fn find(&self, cache: &Cache) -> Option<PreparedFiles> {
        let sealed = fs::read(cache.path(&self.seal)).ok()?;
        let (tag, seal) = sealed.split_first_chunk::<32>()?;
        // constant time is not needed: who may try tags here may read the key
        if *tag != cache.tag(seal) {
            return None;
        }
        let seal: Seal = postcard::from_bytes(seal).ok()?;
        let (code, image) = (cache.path(&self.code), cache.path(&self.image));
        // some 70 MB, which everybody who starts waits for: on two cores it takes half the time
        let (image_tag, code_tag) = thread::scope(|scope| {
            let tag = scope.spawn(|| cache.file_tag(&code));
            (cache.file_tag(&image), tag.join())
        });
        let whole = image_tag.ok()? == seal.image && code_tag.ok()?.ok()? == seal.code;
        whole.then_some(PreparedFiles { code, image, seal })
    }

    fn make(
        &self,
        cache: &Cache,
        engine: GuestEngine,
        guest: &GuestModule,
        progress: &dyn Fn(&str),
    ) -> Result<PreparedFiles, RuntimeError> {
        progress("compiling the Python sandbox for this machine, about ten seconds; this is done once");
        let parts = split(&unpack(guest)?)?;
        let code = engine.engine.precompile_module(&parts.code)?;
        cache.write(&self.code, |mut file| file.write_all(&code))?;
        drop(code);
        progress("starting Python for the memory image, about three seconds; this is done once");
        let (memory, globals) = base_image(engine, &cache.path(&self.code), parts.data)?;
        cache.write(&self.image, |file| {
            file.set_len(memory.len() as u64)?;
            write_sparse(file, 0, &memory)
        })?;
        let (code, image) = (cache.path(&self.code), cache.path(&self.image));
        let tag =
            |path: &Path| cache.file_tag(path).map_err(|source| RuntimeError::Cache { path: path.to_owned(), source });
        let seal = Seal { code: tag(&code)?, image: tag(&image)?, len: memory.len() as u64, globals };
        let bytes = postcard::to_allocvec(&seal).map_err(|error| RuntimeError::Engine(error.to_string()))?;
        cache.write(&self.seal, |mut file| {
            file.write_all(&cache.tag(&bytes))?;
            file.write_all(&bytes)
        })?;
        Ok(PreparedFiles { code, image, seal })
    }

    /// Removes files of guests and engines that were not made lately.
    fn prune(&self, cache: &Cache) {
        let old = cache.newest(".seal").into_iter().filter(|name| *name != self.seal).skip(KEPT - 1);
        for id in old.filter_map(|name| name.strip_suffix(".seal").map(str::to_owned)) {
            for suffix in [".seal", ".image", ".cwasm"] {
                // one that stays behind costs space and nothing else
                let _ = fs::remove_file(cache.path(&format!("{id}{suffix}")));
            }
        }
    }
}

fn unpack(guest: &GuestModule) -> Result<Vec<u8>, RuntimeError> {
    match &guest.bytes {
        GuestBytes::Plain(bytes) => Ok(bytes.clone()),
        GuestBytes::Packed(packed) => zstd::stream::decode_all(*packed)
            .map_err(|error| RuntimeError::Guest(format!("unpack its module: {error}"))),
    }
}

type Memory = (Vec<u8>, Vec<u64>);

/// Starts the guest once. On a thread of its own, because the caller may be inside a runtime already.
fn base_image(engine: GuestEngine, code: &Path, data: Vec<(u32, Vec<u8>)>) -> Result<Memory, RuntimeError> {
    thread::scope(|scope| {
        let start = move || {
            // SAFETY: the file was written by this process a moment ago, in a directory that is the user's alone.
            let code = unsafe { GuestCode::load(engine, code)? };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .map_err(|error| RuntimeError::Engine(error.to_string()))?;
            let nothing = tempfile::tempdir().map_err(|error| RuntimeError::Engine(error.to_string()))?;
            runtime.block_on(code.start(Image::blank(), data, &Mount::open(nothing.path())?))
        };
        let crashed = |_| RuntimeError::Guest("start it: its thread panicked".to_owned());
        scope.spawn(start).join().map_err(crashed)?
    })
}
