//! Compiles the guests and creates their base images, once: later starts find all in the cache.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use bue_model::BlobHash;
use wasmtime::Engine;

use crate::error::RuntimeError;
use crate::host::engine::GuestEngine;
use crate::host::guest::code::GuestCode;
use crate::host::guest::kind::GuestKind;
use crate::host::guest::split::split;
use crate::host::memory::image::{Image, write_sparse};
use crate::packages::mount::Mount;
use crate::parent::cache::Cache;
use crate::parent::{machine, sealed};
use crate::prepared::{GuestFiles, Prepared, PreparedGuests, Seal};

/// Increment this when files of an older bue cannot be used although guest and engine are the same.
const FORMAT_VERSION: u32 = 4;

/// Versions of a guest's files that are kept, the last modified ones.
const MAX_KEPT_VERSIONS: usize = 3;

/// The module of a guest.
#[derive(Clone, Debug)]
pub struct GuestModule {
    /// The BLAKE3 hash of the unpacked module.
    pub hash: BlobHash,
    /// The module.
    pub bytes: GuestBytes,
}

/// A guest module's bytes.
#[derive(Clone, Debug)]
pub enum GuestBytes {
    /// Compressed with zstd; unpacked only if it must be compiled.
    Packed(&'static [u8]),
    /// Uncompressed.
    Plain(Vec<u8>),
}

impl GuestModule {
    /// The Python guest that was built with this crate.
    ///
    /// # Errors
    /// A build that embedded no valid hash.
    fn python() -> Result<Self, RuntimeError> {
        Self::embedded(
            env!("BUE_PYTHON_GUEST_HASH"),
            include_bytes!(concat!(env!("OUT_DIR"), "/bue_python_guest.wasm.zst")),
        )
    }

    /// The SQLite guest that was built with this crate.
    ///
    /// # Errors
    /// A build that embedded no valid hash.
    fn sqlite() -> Result<Self, RuntimeError> {
        Self::embedded(
            env!("BUE_SQLITE_GUEST_HASH"),
            include_bytes!(concat!(env!("OUT_DIR"), "/bue_sqlite_guest.wasm.zst")),
        )
    }

    fn embedded(hash: &str, packed: &'static [u8]) -> Result<Self, RuntimeError> {
        let hash = hash.parse().map_err(|_| RuntimeError::Guest("read its hash".to_owned()))?;
        Ok(Self { hash, bytes: GuestBytes::Packed(packed) })
    }
}

impl Prepared {
    /// Compiles the guests and creates their base images, or finds all in the directory `cache`. The first time takes
    /// about fifteen seconds; later, the files are only checked. `progress` receives a line about each slow part. The key of the
    /// files' MACs is in the directory `keys`, which should not be in the cache.
    ///
    /// # Errors
    /// A cache that cannot be used.
    pub fn open(cache: &Path, keys: &Path, progress: &dyn Fn(&str)) -> Result<Self, RuntimeError> {
        Self::open_guests(cache, keys, &GuestModule::python()?, Some(&GuestModule::sqlite()?), progress)
    }

    /// The same with another Python guest that implements the contract of [`bue_model::guest`], and without SQLite. For tests with
    /// small hostile guests.
    ///
    /// # Errors
    /// A cache that cannot be used, or a guest that cannot be compiled or started.
    pub fn open_guest(
        dir: &Path,
        keys: &Path,
        guest: &GuestModule,
        progress: &dyn Fn(&str),
    ) -> Result<Self, RuntimeError> {
        Self::open_guests(dir, keys, guest, None, progress)
    }

    /// The same with another guest for `sqlite3` steps too.
    ///
    /// # Errors
    /// As above.
    pub fn open_guests(
        dir: &Path,
        keys: &Path,
        python: &GuestModule,
        sqlite: Option<&GuestModule>,
        progress: &dyn Fn(&str),
    ) -> Result<Self, RuntimeError> {
        machine::check()?;
        let cache = Arc::new(Cache::open(dir, keys)?);
        let engine = Arc::new(GuestEngine::new()?);
        let prepare = |kind, guest| prepare_guest(&cache, &engine, kind, guest, progress);
        let python = prepare(GuestKind::Python, python)?;
        let sqlite = sqlite.map(|guest| prepare(GuestKind::Sqlite, guest)).transpose()?;
        Ok(Self { guests: PreparedGuests { python, sqlite }, cache })
    }
}

fn prepare_guest(
    cache: &Cache,
    engine: &Arc<GuestEngine>,
    kind: GuestKind,
    guest: &GuestModule,
    progress: &dyn Fn(&str),
) -> Result<GuestFiles, RuntimeError> {
    let names = FileNames::new(kind, guest, &engine.engine);
    if let Some(files) = names.find(cache) {
        return Ok(files);
    }
    let _lock = cache.lock(progress)?;
    // the previous holder of the lock may have created them
    let files = match names.find(cache) {
        Some(files) => files,
        None => names.make(cache, engine, guest, progress)?,
    };
    names.prune(cache);
    Ok(files)
}

/// The names of the files: a hash of the guest and of everything that compiles it.
struct FileNames {
    kind: GuestKind,
    code: String,
    image: String,
    seal: String,
}

impl FileNames {
    fn new(kind: GuestKind, guest: &GuestModule, engine: &Engine) -> Self {
        let mut compatible = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut compatible);
        let mut id = blake3::Hasher::new();
        id.update(&FORMAT_VERSION.to_le_bytes()).update(&guest.hash.0).update(&compatible.finish().to_le_bytes());
        id.update(env!("CARGO_PKG_VERSION").as_bytes());
        let (id, name) = (id.finalize().to_hex(), kind.name());
        let file = |suffix| format!("{id}.{name}{suffix}");
        Self { kind, code: file(".cwasm"), image: file(".image"), seal: file(".seal") }
    }

    /// Returns the files, if they exist and match their seal.
    fn find(&self, cache: &Cache) -> Option<GuestFiles> {
        let file = fs::read(cache.path(&self.seal)).ok()?;
        let (tag, seal) = file.split_first_chunk::<32>()?;
        // a comparison in constant time is not needed: anyone who can try tags here can read the key
        if *tag != cache.tag(seal) {
            return None;
        }
        let seal: Seal = postcard::from_bytes(seal).ok()?;
        // some 70 MB, which every start waits for: on two cores it takes half the time
        let (image, code) = thread::scope(|scope| {
            let code = scope.spawn(|| cache.read_sealed(&self.code));
            (cache.read_sealed(&self.image), code.join())
        });
        let ((image, image_tag), (code, code_tag)) = (image.ok()?, code.ok()?.ok()?);
        let is_intact = image_tag == seal.image && code_tag == seal.code;
        is_intact.then(|| GuestFiles { code: Arc::new(code), image: Arc::new(image), seal })
    }

    fn make(
        &self,
        cache: &Cache,
        engine: &Arc<GuestEngine>,
        guest: &GuestModule,
        progress: &dyn Fn(&str),
    ) -> Result<GuestFiles, RuntimeError> {
        progress(match self.kind {
            GuestKind::Python => "compiling the Python sandbox for this machine, about ten seconds; this is done once",
            GuestKind::Sqlite => "compiling the SQLite sandbox for this machine, about two seconds; this is done once",
        });
        let parts = split(&unpack(guest)?)?;
        let code = engine.engine.precompile_module(&parts.code)?;
        cache.write(&self.code, |mut file| file.write_all(&code))?;
        let code_tag = cache.tag(&code);
        let code = Arc::new(sealed::from_bytes(&code).map_err(RuntimeError::Memory)?);
        if self.kind == GuestKind::Python {
            progress("starting Python for the memory image, about three seconds; this is done once");
        }
        let (memory, globals) = base_image(Arc::clone(engine), self.kind, &code, parts.data)?;
        cache.write(&self.image, |file| {
            file.set_len(memory.len() as u64)?;
            write_sparse(file, 0, &memory)
        })?;
        let image_tag = cache.tag(&memory);
        let image = Arc::new(sealed::from_bytes(&memory).map_err(RuntimeError::Memory)?);
        let seal = Seal { code: code_tag, image: image_tag, len: memory.len() as u64, globals };
        let bytes = postcard::to_allocvec(&seal).map_err(|error| RuntimeError::Engine(error.to_string()))?;
        cache.write(&self.seal, |mut file| {
            file.write_all(&cache.tag(&bytes))?;
            file.write_all(&bytes)
        })?;
        Ok(GuestFiles { code, image, seal })
    }

    /// Removes the files of older guests and engines.
    fn prune(&self, cache: &Cache) {
        let suffix = format!(".{}.seal", self.kind.name());
        let old = cache.newest(&suffix).into_iter().filter(|name| *name != self.seal).skip(MAX_KEPT_VERSIONS - 1);
        // an older bue wrote files without the name of a guest
        let nameless = cache.newest(".seal").into_iter().filter(|name| name.matches('.').count() == 1);
        for id in old.chain(nameless).filter_map(|name| name.strip_suffix(".seal").map(str::to_owned)) {
            for suffix in [".seal", ".image", ".cwasm"] {
                // a file that cannot be removed only takes space
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

/// Starts the guest once and returns its memory and globals. Uses a new thread, because the caller may be inside a runtime.
fn base_image(
    engine: Arc<GuestEngine>,
    kind: GuestKind,
    code: &File,
    data: Vec<(u32, Vec<u8>)>,
) -> Result<(Vec<u8>, Vec<u64>), RuntimeError> {
    thread::scope(|scope| {
        let start = move || {
            let code = code.try_clone().map_err(RuntimeError::Memory)?;
            // SAFETY: this process has just compiled the code, and the memory is sealed.
            let code = unsafe { GuestCode::load(engine, kind, code)? };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .map_err(|error| RuntimeError::Engine(error.to_string()))?;
            let empty = tempfile::tempdir().map_err(|error| RuntimeError::Engine(error.to_string()))?;
            let packages = match kind {
                GuestKind::Python => Some(Mount::open(empty.path())?),
                GuestKind::Sqlite => None,
            };
            runtime.block_on(code.start(Image::blank(), data, packages.as_ref()))
        };
        let crashed = |_| RuntimeError::Guest("start it: its thread panicked".to_owned());
        scope.spawn(start).join().map_err(crashed)?
    })
}
