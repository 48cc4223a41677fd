//! [`TokenFile`]: the tokens that hub and bucket know, one line each: hash, role, name, time, and scopes of a worker's.
//!
//! The tokens themselves are nowhere: a line has the BLAKE3 of one, which has 256 random bits and so cannot be guessed back.
//! Many processes may read the file while one changes it: it is replaced as a whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use blake3::Hash;
use bue_model::Timestamp;

use crate::auth::role::Role;

/// Bytes of a file that is read: some ten thousand tokens.
const MAX_FILE: u64 = 1024 * 1024;
/// Bytes of a token's name.
const MAX_NAME: usize = 64;
/// What the first line says to whoever opens the file.
const HEAD: &str = "# tokens of bue: hash, role, name, time (ms), scopes. Made by `bue token new`; the tokens themselves are not kept.\n";
/// Keeps these hashes apart from all others of the same bytes.
const CONTEXT: &str = "bue 2026-11-20 access token";

/// A token as the servers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    hash: Hash,
    /// What it is good for.
    pub role: Role,
    /// What people call it; unique in its file.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The scopes whose jobs its worker is given; none where that is all.
    pub scopes: Vec<String>,
}

/// Why a file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The system said no.
    #[error("failed to use the tokens file {path}: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line that is none.
    #[error(
        "line {line} of the tokens file {path} is not understood; restore it, or make the file anew with `bue token new`"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Far more than anybody needs.
    #[error("the tokens file {path} has more than {MAX_FILE} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Names tell tokens apart.
    #[error("there is a token called `{0}` already; choose another --name, or type `bue token delete {0}` first")]
    Taken(String),
    /// A name that cannot stand in the file.
    #[error("`{0}` is no name of a token; use up to {MAX_NAME} letters, digits, `-`, `_` and `.`")]
    BadName(String),
    /// A scope that cannot stand in the file, or for whom it means nothing.
    #[error(
        "a {role} token cannot have the scope `{scope}`; scopes are for workers' tokens, words without spaces and commas"
    )]
    BadScope {
        /// Whose token.
        role: Role,
        /// The scope.
        scope: String,
    },
}

/// A file of tokens, there or not.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenEntry {
    /// The entry of a new token. `token` is what its holder will send.
    ///
    /// # Errors
    /// A name that cannot be one.
    pub fn new(token: &str, role: Role, name: &str, now: Timestamp) -> Result<Self, TokenError> {
        match is_name(name) {
            true => Ok(Self { hash: hash_of(token), role, name: name.to_owned(), created_at: now, scopes: Vec::new() }),
            false => Err(TokenError::BadName(name.chars().take(MAX_NAME).collect())),
        }
    }

    /// The same for a worker that is given jobs of these scopes alone.
    ///
    /// # Errors
    /// It is no worker's, or one of them cannot be a scope's name here.
    pub fn for_scopes(self, scopes: Vec<String>) -> Result<Self, TokenError> {
        let wrong = |scope: &&String| self.role != Role::Worker || !is_scope(scope);
        match scopes.iter().find(wrong) {
            Some(scope) => Err(TokenError::BadScope { role: self.role, scope: scope.chars().take(MAX_NAME).collect() }),
            None => Ok(Self { scopes, ..self }),
        }
    }

    /// Whether this is the token. Takes the same time whatever differs.
    pub(crate) fn is(&self, hash: &Hash) -> bool {
        // blake3 compares its hashes in constant time
        self.hash == *hash
    }

    fn line(&self) -> String {
        let scopes = if self.scopes.is_empty() { String::new() } else { format!(" {}", self.scopes.join(",")) };
        format!("{} {} {} {}{scopes}\n", self.hash.to_hex(), self.role, self.name, self.created_at.0)
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let entry = Self {
            hash: Hash::from_hex(words.next()?).ok()?,
            role: words.next()?.parse().ok()?,
            name: words.next().filter(|name| is_name(name))?.to_owned(),
            created_at: Timestamp(words.next()?.parse().ok()?),
            scopes: Vec::new(),
        };
        let scopes = words.next().map(|scopes| scopes.split(',').map(str::to_owned).collect());
        let entry = entry.for_scopes(scopes.unwrap_or_default()).ok()?;
        words.next().is_none().then_some(entry)
    }
}

impl TokenFile {
    /// Names a file; it need not be there.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tokens, in the order in which they were made; `None` where there is no file.
    ///
    /// # Errors
    /// It cannot be read, or is no file of tokens.
    pub fn read(&self) -> Result<Option<Vec<TokenEntry>>, TokenError> {
        let length = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|source| self.disk(source))?.len(),
        };
        if length > MAX_FILE {
            return Err(TokenError::TooLarge { path: self.path.clone() });
        }
        let text = fs::read_to_string(&self.path).map_err(|source| self.disk(source))?;
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
        let wrong = |line| TokenError::Line { path: self.path.clone(), line };
        lines
            .map(|(number, line)| TokenEntry::of_line(line).ok_or_else(|| wrong(number)))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Adds a token; makes the file, for its owner alone, where there is none.
    ///
    /// # Errors
    /// The name is taken, or the file cannot be read or written.
    pub fn add(&self, entry: TokenEntry) -> Result<(), TokenError> {
        let _lock = self.lock()?;
        let mut entries = self.read()?.unwrap_or_default();
        if entries.iter().any(|known| known.name == entry.name) {
            return Err(TokenError::Taken(entry.name));
        }
        entries.push(entry);
        self.write(&entries)
    }

    /// Takes a token away; whether it was there.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn delete(&self, name: &str) -> Result<bool, TokenError> {
        let _lock = self.lock()?;
        let Some(mut entries) = self.read()? else { return Ok(false) };
        let before = entries.len();
        entries.retain(|entry| entry.name != name);
        if entries.len() == before {
            return Ok(false);
        }
        self.write(&entries).map(|()| true)
    }

    /// Held by one process at a time: the lock of the folder, so that no further file stands about.
    fn lock(&self) -> Result<File, TokenError> {
        let folder = File::open(folder_of(&self.path)).map_err(|source| self.disk(source))?;
        folder.lock().map_err(|source| self.disk(source))?;
        Ok(folder)
    }

    /// Writes a file beside, and puts it in place of the old one: a reader sees all of one or all of the other.
    fn write(&self, entries: &[TokenEntry]) -> Result<(), TokenError> {
        // where the name is a link, what it leads to is replaced
        let place = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let new = place.with_added_extension("new");
        let text: String = std::iter::once(HEAD.to_owned()).chain(entries.iter().map(TokenEntry::line)).collect();
        let written = write_private(&new, &text).and_then(|()| fs::rename(&new, &place));
        written.and_then(|()| File::open(folder_of(&place))?.sync_all()).map_err(|source| self.disk(source))
    }

    fn disk(&self, source: io::Error) -> TokenError {
        TokenError::Disk { path: self.path.clone(), source }
    }
}

/// What is stored of a token, and compared.
pub(crate) fn hash_of(token: &str) -> Hash {
    Hash::from_bytes(blake3::derive_key(CONTEXT, token.as_bytes()))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // one that was left behind may have other permissions
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(good)
}

fn is_scope(scope: &str) -> bool {
    let good = |char: char| !char.is_whitespace() && !char.is_control() && char != ',';
    !scope.is_empty() && scope.len() <= MAX_NAME && scope.chars().all(good)
}
