//! [`TokenFile`]: the tokens that hub and bucket accept, one per line: hash, role, name, creation time, and the scopes of a
//! worker or the pipelines of an invoker.
//!
//! The tokens themselves are not stored: a line holds the BLAKE3 hash of one, which has 256 random bits and so cannot be
//! recovered by guessing. Other processes may read the file while it changes, because it is replaced atomically.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use blake3::Hash;
use bue_model::Timestamp;
use bue_model::pipeline::is_pipeline_name;

use crate::auth::role::Role;
use crate::regular_file::read_regular_file;

/// The largest file that is read, in bytes: some ten thousand tokens.
const MAX_FILE: u64 = 1024 * 1024;
/// Bytes of a token's name.
const MAX_NAME: usize = 64;
/// The first line, for people who open the file.
const HEADER: &str = "# tokens of bue: hash, role, name, time (ms), scopes or pipelines. Made by `bue token new`; the tokens themselves are not kept.\n";
/// The context of the derived key: the same bytes hashed for another purpose have another hash.
const HASH_CONTEXT: &str = "bue 2026-11-20 access token";

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    hash: Hash,
    /// What its holder may do.
    pub role: Role,
    /// Its name, unique in the file.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// The scopes whose jobs a worker may lease; all if empty.
    pub scopes: Vec<String>,
    /// The pipelines that an invoker may run; all if empty.
    pub pipelines: Vec<String>,
}

/// Why a tokens file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A file operation failed.
    #[error("failed to use the tokens file {path}: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A line cannot be parsed.
    #[error(
        "line {line} of the tokens file {path} cannot be parsed; restore the file, or delete it and create tokens with `bue token new`"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The file is far larger than any real one.
    #[error("the tokens file {path} has more than {MAX_FILE} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Names are unique.
    #[error("a token called `{0}` already exists; choose another --name, or type `bue token delete {0}` first")]
    Taken(String),
    /// The name has characters that the file cannot hold, or is too long.
    #[error("`{0}` is not a valid name of a token; use up to {MAX_NAME} letters, digits, `-`, `_` and `.`")]
    BadName(String),
    /// The scope has characters that the file cannot hold, or the role has no scopes.
    #[error(
        "a {role} token cannot have the scope `{scope}`; only workers' tokens have scopes, which are words without spaces and commas"
    )]
    BadScope {
        /// The token's role.
        role: Role,
        /// The scope.
        scope: String,
    },
    /// No pipeline has this name, or the role has no pipelines.
    #[error(
        "a {role} token cannot be for the pipeline `{pipeline}`; only invokers' tokens are for pipelines, by their names"
    )]
    BadPipeline {
        /// The token's role.
        role: Role,
        /// The pipeline.
        pipeline: String,
    },
}

/// A tokens file, which need not exist.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenEntry {
    /// Creates the entry of a new token. `token` is the secret that its holder will send.
    ///
    /// # Errors
    /// The name is not valid.
    pub fn new(token: &str, role: Role, name: &str, now: Timestamp) -> Result<Self, TokenError> {
        match is_name(name) {
            true => {
                let (scopes, pipelines) = Default::default();
                Ok(Self { hash: hash_token(token), role, name: name.to_owned(), created_at: now, scopes, pipelines })
            }
            false => Err(TokenError::BadName(name.chars().take(MAX_NAME).collect())),
        }
    }

    /// Restricts a worker's token to jobs of these scopes.
    ///
    /// # Errors
    /// The token is not a worker's, or the name of a scope is not valid.
    pub fn with_scopes(self, scopes: Vec<String>) -> Result<Self, TokenError> {
        let is_invalid = |scope: &&String| self.role != Role::Worker || !is_scope(scope);
        match scopes.iter().find(is_invalid) {
            Some(scope) => Err(TokenError::BadScope { role: self.role, scope: scope.chars().take(MAX_NAME).collect() }),
            None => Ok(Self { scopes, ..self }),
        }
    }

    /// Restricts an invoker's token to these pipelines, which need not be published yet.
    ///
    /// # Errors
    /// The token is not an invoker's, or the name of a pipeline is not valid.
    pub fn with_pipelines(self, pipelines: Vec<String>) -> Result<Self, TokenError> {
        let is_invalid = |name: &&String| self.role != Role::Invoker || !is_pipeline_name(name);
        match pipelines.iter().find(is_invalid) {
            Some(name) => {
                Err(TokenError::BadPipeline { role: self.role, pipeline: name.chars().take(MAX_NAME).collect() })
            }
            None => Ok(Self { pipelines, ..self }),
        }
    }

    /// The hash of the token.
    pub(crate) fn hash(&self) -> &Hash {
        &self.hash
    }

    /// Whether this is the entry of the token with this hash. Takes the same time whatever differs.
    pub(crate) fn matches(&self, hash: &Hash) -> bool {
        // blake3 compares its hashes in constant time
        self.hash == *hash
    }

    /// Returns the entry as a line of the file.
    pub(crate) fn to_line(&self) -> String {
        let restriction = [&self.scopes[..], &self.pipelines].concat().join(",");
        let line = format!("{} {} {} {} {restriction}", self.hash.to_hex(), self.role, self.name, self.created_at.0);
        format!("{}\n", line.trim_end())
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let entry = Self {
            hash: Hash::from_hex(words.next()?).ok()?,
            role: words.next()?.parse().ok()?,
            name: words.next().filter(|name| is_name(name))?.to_owned(),
            created_at: Timestamp(words.next()?.parse().ok()?),
            scopes: Vec::new(),
            pipelines: Vec::new(),
        };
        let restriction = words.next().map(|names| names.split(',').map(str::to_owned).collect()).unwrap_or_default();
        let entry = match entry.role {
            Role::Invoker => entry.with_pipelines(restriction),
            _ => entry.with_scopes(restriction),
        };
        let entry = entry.ok()?;
        words.next().is_none().then_some(entry)
    }
}

impl TokenFile {
    /// The tokens file at this path, which need not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns all tokens, oldest first; `None` if the file does not exist.
    ///
    /// # Errors
    /// The file cannot be read, or is not a tokens file.
    pub fn read(&self) -> Result<Option<Vec<TokenEntry>>, TokenError> {
        let content = match read_regular_file(&self.path, MAX_FILE) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                return Err(TokenError::TooLarge { path: self.path.clone() });
            }
            content => content.map_err(|source| self.disk_error(source))?,
        };
        let text = String::from_utf8(content)
            .map_err(|_| self.disk_error(io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text")))?;
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
        let line_error = |line| TokenError::Line { path: self.path.clone(), line };
        lines
            .map(|(number, line)| TokenEntry::from_line(line).ok_or_else(|| line_error(number)))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Adds a token. Creates the file, readable by its owner only, if it does not exist.
    ///
    /// # Errors
    /// The name is taken, or the file cannot be read or written.
    pub fn add(&self, entry: TokenEntry) -> Result<(), TokenError> {
        let _lock = self.lock()?;
        let mut entries = self.read()?.unwrap_or_default();
        if entries.iter().any(|existing| existing.name == entry.name) {
            return Err(TokenError::Taken(entry.name));
        }
        entries.push(entry);
        self.write(&entries)
    }

    /// Deletes a token. Returns false if there is none with this name.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn delete(&self, name: &str) -> Result<bool, TokenError> {
        let _lock = self.lock()?;
        let Some(mut entries) = self.read()? else { return Ok(false) };
        let count = entries.len();
        entries.retain(|entry| entry.name != name);
        if entries.len() == count {
            return Ok(false);
        }
        self.write(&entries).map(|()| true)
    }

    /// Locks the file's folder against other writers. A lock file would be left behind.
    fn lock(&self) -> Result<File, TokenError> {
        let folder = File::open(parent_folder(&self.path)).map_err(|source| self.disk_error(source))?;
        folder.lock().map_err(|source| self.disk_error(source))?;
        Ok(folder)
    }

    /// Replaces the file atomically: a reader sees all of the old one or all of the new one.
    fn write(&self, entries: &[TokenEntry]) -> Result<(), TokenError> {
        // if the path is a symbolic link, its target is replaced
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let new = path.with_added_extension("new");
        let text: String = std::iter::once(HEADER.to_owned()).chain(entries.iter().map(TokenEntry::to_line)).collect();
        let written = write_private(&new, &text).and_then(|()| fs::rename(&new, &path));
        written.and_then(|()| File::open(parent_folder(&path))?.sync_all()).map_err(|source| self.disk_error(source))
    }

    fn disk_error(&self, source: io::Error) -> TokenError {
        TokenError::Disk { path: self.path.clone(), source }
    }
}

/// The hash by which a token is stored and compared.
pub(crate) fn hash_token(token: &str) -> Hash {
    Hash::from_bytes(blake3::derive_key(HASH_CONTEXT, token.as_bytes()))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // a file left behind by a crash may have other permissions
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn parent_folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn is_name(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_valid)
}

fn is_scope(scope: &str) -> bool {
    let is_valid = |char: char| !char.is_whitespace() && !char.is_control() && char != ',';
    !scope.is_empty() && scope.len() <= MAX_NAME && scope.chars().all(is_valid)
}
