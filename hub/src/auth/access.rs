//! [`Access`]: whether a request may use a route, by the token it carries.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blake3::{Hash, Hasher};
use http::{HeaderMap, header};

use crate::auth::role::{Permission, Role};
use crate::auth::token_file::{TokenEntry, TokenError, TokenFile, hash_token};
use crate::file_fingerprint::FileFingerprint;

/// Changes of the tokens file that are remembered until they are recorded: that of a whole file, twice.
const MAX_CHANGES: usize = 20_000;

/// Who may use a server.
#[derive(Clone, Debug)]
pub struct Access {
    policy: Arc<Policy>,
    /// The token of the process that serves, if it is its own client.
    own: Option<Hash>,
}

#[derive(Debug)]
enum Policy {
    /// Everyone.
    Open,
    /// The holder of this token.
    SingleToken(Hash),
    /// Holders of a token of the file; everyone as long as the file has never existed.
    TokenFile(TokenFile, Mutex<CachedTokens>),
}

/// The content of the tokens file when it was last read.
#[derive(Debug, Default)]
struct CachedTokens {
    /// `None` as long as the file has never existed.
    fingerprint: Option<FileFingerprint>,
    tokens: Arc<Vec<TokenEntry>>,
    /// `None` unless somebody wants to know them.
    changes: Option<VecDeque<TokenChange>>,
}

/// A change of the tokens file that a server has noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenChange {
    pub(crate) kind: TokenChangeKind,
    /// The name of the token.
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// What happened to a token. One that was edited was deleted and is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenChangeKind {
    New,
    Deleted,
}

/// Why a request may not use a route.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// The request carries no token.
    #[error("this server answers only requests with a token")]
    TokenMissing,
    /// The header has the wrong form, or no such token exists.
    #[error("this server does not know the token")]
    TokenUnknown,
    /// The token's role lacks the permission.
    #[error("the token's role, {role}, may not do this; {} may", roles_with(*permission))]
    WrongRole { role: Role, permission: Permission },
    /// A worker asks for jobs of a scope that its token is not for.
    #[error("the token is for workers of {}, and this one requests jobs of `{scope}`", scopes.join(","))]
    WrongScope { scope: String, scopes: Vec<String> },
    /// An invoker asks for another pipeline.
    #[error("the token is for the pipelines {}, and this is another one", pipelines.join(","))]
    WrongPipeline { pipelines: Vec<String> },
    /// A server without tokens was called by a name that could lead anywhere.
    #[error("this server requires no token, so it answers only on addresses and `localhost`, not on `{host}`")]
    ForeignHost { host: String },
    /// A web page sends requests to a server without tokens.
    #[error(
        "this server requires no token, so it answers no web pages of other sites; this request is from `{origin}`"
    )]
    ForeignOrigin { origin: String },
    /// A page of another site, or no page at all, sends what only pages of this server may send.
    #[error("only pages of this server may send this request; it came from `{origin}`")]
    NotOwnPage { origin: String },
    /// The tokens file cannot be used.
    #[error("{0}")]
    TokenFile(TokenError),
}

/// The sender of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) token_name: String,
    /// A hash of the token and of what it permits. Differs between two tokens of the same name.
    pub(crate) identity: [u8; 32],
    role: Role,
    /// The scopes whose jobs a worker may lease; all if empty.
    scopes: Vec<String>,
    /// The pipelines that an invoker may run; all if empty.
    pipelines: Vec<String>,
}

impl Access {
    /// Everyone may do everything. For tests only.
    #[must_use]
    pub fn open() -> Self {
        Self::new(Policy::Open)
    }

    /// The holder of this token may do everything, others nothing.
    #[must_use]
    pub fn single_token(token: &str) -> Self {
        Self::new(Policy::SingleToken(hash_token(token)))
    }

    /// Holders of a token of this file may do what its role allows. The file is read again when it changes. Everyone may do
    /// everything as long as the file has never existed; after that, tokens are required even if it is deleted.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn from_token_file(path: PathBuf) -> Result<Self, TokenError> {
        let file = TokenFile::new(path);
        let mut cache = CachedTokens::default();
        cache.refresh(&file)?;
        Ok(Self::new(Policy::TokenFile(file, Mutex::new(cache))))
    }

    /// Remembers from now on how the tokens file changes.
    pub(crate) fn watch_tokens(&self) {
        if let Policy::TokenFile(_, cache) = &*self.policy {
            lock(cache).changes.get_or_insert_default();
        }
    }

    /// Reads the tokens file again if it has changed, and returns the first change that is remembered. A file that cannot be read is
    /// no change; requests report it.
    pub(crate) fn next_token_change(&self) -> Option<TokenChange> {
        let Policy::TokenFile(file, cache) = &*self.policy else { return None };
        let mut cache = lock(cache);
        let _ = cache.refresh(file);
        cache.changes.as_ref().and_then(|changes| changes.front().cloned())
    }

    /// Forgets the first change.
    pub(crate) fn forget_token_change(&self) {
        if let Policy::TokenFile(_, cache) = &*self.policy {
            lock(cache).changes.as_mut().and_then(VecDeque::pop_front);
        }
    }

    fn new(policy: Policy) -> Self {
        Self { policy: Arc::new(policy), own: None }
    }

    /// Also accepts this token, of the process itself, which may do everything.
    #[must_use]
    pub fn with_own_token(self, token: &str) -> Self {
        Self { own: Some(hash_token(token)), ..self }
    }

    /// Whether requests without a token are accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &*self.policy {
            Policy::Open => true,
            Policy::SingleToken(_) => false,
            Policy::TokenFile(_, cache) => lock(cache).fingerprint.is_none(),
        }
    }

    /// Finds the sender of a request by its token; `None` if no token is required.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Option<Principal>, AccessError> {
        if let (Some(own), Ok(token)) = (&self.own, bearer_token(headers))
            && *own == hash_token(token)
        {
            return Ok(Some(Principal::owner(own)));
        }
        let principal = match &*self.policy {
            Policy::Open => return Ok(None),
            Policy::SingleToken(hash) => (*hash == hash_token(bearer_token(headers)?)).then(|| Principal::owner(hash)),
            Policy::TokenFile(file, cache) => {
                let Some(tokens) = current_tokens(file, cache)? else { return Ok(None) };
                find_principal(&tokens, bearer_token(headers)?)
            }
        };
        principal.map(Some).ok_or(AccessError::TokenUnknown)
    }

    /// Finds the holder of a token by the text of the token, as a person pastes it. `None` if there is no such token.
    pub(crate) fn holder_of(&self, token: &str) -> Result<Option<Principal>, AccessError> {
        let hash = hash_token(token);
        let single = match &*self.policy {
            Policy::SingleToken(single) => Some(single),
            Policy::Open | Policy::TokenFile(..) => None,
        };
        let owner = [self.own.as_ref(), single].into_iter().flatten().find(|owner| **owner == hash);
        if let Some(owner) = owner {
            return Ok(Some(Principal::owner(owner)));
        }
        let Policy::TokenFile(file, cache) = &*self.policy else { return Ok(None) };
        Ok(current_tokens(file, cache)?.and_then(|tokens| find_principal(&tokens, token)))
    }

    /// Returns the holders of tokens of this name. Those of the process itself may have the name of one of the file.
    pub(crate) fn holders_named(&self, name: &str) -> Result<Vec<Principal>, AccessError> {
        let single = match &*self.policy {
            Policy::SingleToken(single) => Some(single),
            Policy::Open | Policy::TokenFile(..) => None,
        };
        let owners = [self.own.as_ref(), single].into_iter().flatten().map(Principal::owner);
        let mut holders: Vec<_> = owners.filter(|owner| owner.token_name == name).collect();
        if let Policy::TokenFile(file, cache) = &*self.policy
            && let Some(tokens) = current_tokens(file, cache)?
        {
            holders.extend(tokens.iter().find(|entry| entry.name == name).map(Principal::of_entry));
        }
        Ok(holders)
    }
}

impl Principal {
    /// The holder of a server's single token.
    fn owner(token: &Hash) -> Self {
        Self::new("owner", token, Role::Admin, &[], &[])
    }

    fn of_entry(entry: &TokenEntry) -> Self {
        Self::new(&entry.name, entry.hash(), entry.role, &entry.scopes, &entry.pipelines)
    }

    fn new(name: &str, token: &Hash, role: Role, scopes: &[String], pipelines: &[String]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(token.as_bytes());
        hasher.update(role.name().as_bytes());
        for scope in scopes {
            hasher.update(b",").update(scope.as_bytes());
        }
        let identity = *hasher.finalize().as_bytes();
        let (scopes, pipelines) = (scopes.to_vec(), pipelines.to_vec());
        Self { token_name: name.to_owned(), identity, role, scopes, pipelines }
    }

    /// Returns a worker with a token of this text.
    #[cfg(test)]
    pub(crate) fn for_tests(token: &str, scopes: &[&str]) -> Self {
        let scopes: Vec<_> = scopes.iter().copied().map(str::to_owned).collect();
        Self::new("worker", &hash_token(token), Role::Worker, &scopes, &[])
    }

    /// The token's role.
    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    /// The scopes whose jobs a worker with this token may lease; all if empty.
    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Refuses what the role does not allow.
    pub(crate) fn expect_permission(&self, permission: Permission) -> Result<(), AccessError> {
        if self.role.allows(permission) { Ok(()) } else { Err(AccessError::WrongRole { role: self.role, permission }) }
    }

    /// Whether it may read only runs of pipelines that it may invoke.
    pub(crate) const fn reads_only_invoked(&self) -> bool {
        !self.role.allows(Permission::Read)
    }

    /// Refuses a pipeline that the token is not for. `None` stands for a run that no pipeline started.
    pub(crate) fn expect_pipeline(&self, pipeline: Option<&str>) -> Result<(), AccessError> {
        let is_allowed = match (self.role, pipeline) {
            (Role::Invoker, None) => false,
            (Role::Invoker, Some(name)) => self.pipelines.is_empty() || self.pipelines.iter().any(|one| one == name),
            _ => true,
        };
        if is_allowed { Ok(()) } else { Err(AccessError::WrongPipeline { pipelines: self.pipelines.clone() }) }
    }

    /// Refuses scopes that the token is not for.
    pub(crate) fn expect_scopes(&self, requested: &[String]) -> Result<(), AccessError> {
        let forbidden = |scope: &&String| !self.scopes.is_empty() && !self.scopes.contains(scope);
        match requested.iter().find(forbidden) {
            Some(scope) => Err(AccessError::WrongScope { scope: scope.clone(), scopes: self.scopes.clone() }),
            None => Ok(()),
        }
    }
}

impl CachedTokens {
    /// Reads the file again if it has changed.
    fn refresh(&mut self, file: &TokenFile) -> Result<(), TokenError> {
        let fingerprint = FileFingerprint::from_path(file.path());
        if fingerprint == self.fingerprint {
            return Ok(());
        }
        // a file that was deleted accepts no token, so the old fingerprint is kept
        let has_existed = self.fingerprint.is_some();
        let tokens = file.read()?;
        if tokens.is_none() && !has_existed {
            return Ok(());
        }
        let tokens = tokens.unwrap_or_default();
        if let Some(changes) = &mut self.changes {
            changes.extend(changes_between(&self.tokens, &tokens));
            let excess = changes.len().saturating_sub(MAX_CHANGES);
            if excess > 0 {
                tracing::error!(excess, "the tokens file changes faster than that can be recorded");
                changes.drain(..excess);
            }
        }
        self.tokens = Arc::new(tokens);
        self.fingerprint = fingerprint.or(self.fingerprint);
        Ok(())
    }
}

fn lock(cache: &Mutex<CachedTokens>) -> MutexGuard<'_, CachedTokens> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns what differs between two lists of tokens.
fn changes_between(old: &[TokenEntry], new: &[TokenEntry]) -> Vec<TokenChange> {
    let (old_set, new_set): (HashSet<_>, HashSet<_>) =
        (old.iter().map(TokenEntry::to_line).collect(), new.iter().map(TokenEntry::to_line).collect());
    let change = |kind, entry: &TokenEntry| TokenChange { kind, name: entry.name.clone(), role: entry.role };
    let deleted = old.iter().filter(|entry| !new_set.contains(&entry.to_line()));
    let added = new.iter().filter(|entry| !old_set.contains(&entry.to_line()));
    let deleted = deleted.map(|entry| change(TokenChangeKind::Deleted, entry));
    deleted.chain(added.map(|entry| change(TokenChangeKind::New, entry))).collect()
}

/// The file's tokens; `None` if it has never existed. Costs one system call while the file is unchanged.
fn current_tokens(file: &TokenFile, cache: &Mutex<CachedTokens>) -> Result<Option<Arc<Vec<TokenEntry>>>, AccessError> {
    let mut cache = lock(cache);
    cache.refresh(file).map_err(AccessError::TokenFile)?;
    Ok(cache.fingerprint.is_some().then(|| cache.tokens.clone()))
}

/// Compares the token with every entry, so that the time taken does not reveal which entry matched.
fn find_principal(tokens: &[TokenEntry], token: &str) -> Option<Principal> {
    let hash = hash_token(token);
    let entry = tokens.iter().fold(None, |found, entry| if entry.matches(&hash) { Some(entry) } else { found })?;
    Some(Principal::of_entry(entry))
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, AccessError> {
    let value = headers.get(header::AUTHORIZATION).ok_or(AccessError::TokenMissing)?;
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(AccessError::TokenUnknown)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(AccessError::TokenUnknown) }
}

fn roles_with(permission: Permission) -> String {
    let roles: Vec<_> = Role::ALL.into_iter().filter(|role| role.allows(permission)).map(Role::name).collect();
    roles.join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use bue_model::Timestamp;
    use http::HeaderValue;

    use super::*;

    fn check(access: &Access, headers: &HeaderMap, permission: Permission) -> Result<(), AccessError> {
        access.authenticate(headers)?.map_or(Ok(()), |principal| principal.expect_permission(permission))
    }

    fn headers_with(token: &str) -> HeaderMap {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    fn add(file: &TokenFile, token: &str, role: Role, name: &str) {
        file.add(TokenEntry::new(token, role, name, Timestamp(7)).expect("an entry")).expect("added");
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_deleted_one_admits_no_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = TokenFile::new(folder.path().join("bue.tokens"));
        let access = Access::from_token_file(file.path().to_owned()).expect("the file may be missing");
        assert!(access.is_open() && check(&access, &HeaderMap::new(), Permission::Operate).is_ok());
        add(&file, "one", Role::Viewer, "a");
        assert!(check(&access, &HeaderMap::new(), Permission::Read).is_err());
        assert!(check(&access, &headers_with("one"), Permission::Read).is_ok() && !access.is_open());
        assert!(check(&access, &headers_with("one"), Permission::Operate).is_err());
        // rotation: both tokens are valid until the old one is deleted
        add(&file, "two", Role::Operator, "b");
        assert!(
            check(&access, &headers_with("one"), Permission::Read).is_ok()
                && check(&access, &headers_with("two"), Permission::Operate).is_ok()
        );
        assert!(file.delete("a").expect("deleted") && !file.delete("a").expect("gone"));
        assert!(
            check(&access, &headers_with("one"), Permission::Read).is_err()
                && check(&access, &headers_with("two"), Permission::Read).is_ok()
        );
        fs::write(file.path(), "nonsense\n").expect("written");
        assert!(check(&access, &headers_with("two"), Permission::Read).is_err());
        fs::remove_file(file.path()).expect("removed");
        assert!(
            check(&access, &HeaderMap::new(), Permission::Read).is_err()
                && check(&access, &headers_with("two"), Permission::Read).is_err()
        );
    }

    #[test]
    fn changes_of_the_file_are_remembered_until_they_are_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = TokenFile::new(folder.path().join("bue.tokens"));
        add(&file, "one", Role::Viewer, "a");
        let access = Access::from_token_file(file.path().to_owned()).expect("a file");
        access.watch_tokens();
        let next = || {
            let change = access.next_token_change().map(|change| (change.kind, change.name, change.role));
            assert_eq!(change, access.next_token_change().map(|change| (change.kind, change.name, change.role)));
            access.forget_token_change();
            change
        };
        assert_eq!(next(), None, "what is there at the start is no change");
        add(&file, "two", Role::Worker, "b");
        // a request with the token reads the file
        assert!(check(&access, &headers_with("two"), Permission::Work).is_ok());
        file.delete("b").expect("deleted");
        assert!(check(&access, &headers_with("two"), Permission::Work).is_err());
        assert_eq!(next(), Some((TokenChangeKind::New, "b".into(), Role::Worker)));
        assert_eq!(next(), Some((TokenChangeKind::Deleted, "b".into(), Role::Worker)));
        assert_eq!(next(), None);
        fs::write(file.path(), "nonsense\n").expect("written");
        assert_eq!(next(), None);
        fs::remove_file(file.path()).expect("removed");
        assert_eq!(next(), Some((TokenChangeKind::Deleted, "a".into(), Role::Viewer)));
        // the same name with another token
        add(&file, "three", Role::Admin, "c");
        assert_eq!(next(), Some((TokenChangeKind::New, "c".into(), Role::Admin)));
        file.delete("c").expect("deleted");
        add(&file, "four", Role::Admin, "c");
        assert_eq!(next(), Some((TokenChangeKind::Deleted, "c".into(), Role::Admin)));
        assert_eq!(next(), Some((TokenChangeKind::New, "c".into(), Role::Admin)));
        assert_eq!(next(), None);
        assert_eq!(Access::open().next_token_change(), None);
    }

    #[test]
    fn only_its_owner_can_read_a_tokens_file_and_it_holds_no_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = TokenFile::new(folder.path().join("bue.tokens"));
        add(&file, "canary-4711", Role::Admin, "a");
        assert_eq!(fs::metadata(file.path()).expect("a file").mode() & 0o777, 0o600);
        let text = fs::read_to_string(file.path()).expect("text");
        assert!(!text.contains("canary") && text.contains(" admin a 7\n"), "{text}");
        let duplicate = file.add(TokenEntry::new("x", Role::Viewer, "a", Timestamp(0)).expect("an entry"));
        assert!(matches!(duplicate, Err(TokenError::Taken(_))));
        for name in ["", "a b", "a\nb", "é", &"x".repeat(65)] {
            assert!(TokenEntry::new("x", Role::Viewer, name, Timestamp(0)).is_err(), "{name}");
        }
        for (role, scope) in [(Role::Viewer, "a"), (Role::Worker, ""), (Role::Worker, "a b"), (Role::Worker, "a,b")] {
            let entry = TokenEntry::new("x", role, "x", Timestamp(0)).expect("an entry");
            assert!(entry.with_scopes(vec![scope.to_owned()]).is_err(), "{role} {scope}");
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no other file is left");
    }

    #[test]
    fn other_forms_of_the_authorization_header_are_refused() {
        let access = Access::single_token("one");
        for text in ["one", "Basic one", "Bearer", "Bearer ", "Bearer onee", "Bearer one two"] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(text))]);
            assert!(check(&access, &headers, Permission::Basic).is_err(), "{text}");
        }
        assert!(check(&access, &headers_with("one"), Permission::Operate).is_ok());
    }
}
