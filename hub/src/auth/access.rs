//! [`Access`]: whether a request may be answered, by the token it carries.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use blake3::Hash;
use http::{HeaderMap, StatusCode, header};

use crate::auth::role::{Need, Role};
use crate::auth::token_file::{TokenEntry, TokenError, TokenFile, hash_of};
use crate::file_fingerprint::FileFingerprint;
use crate::http::reply::Refusal;

/// Who may talk to a server.
#[derive(Clone, Debug)]
pub struct Access(Arc<Rule>);

#[derive(Debug)]
enum Rule {
    /// Whoever reaches it.
    Open,
    /// Whoever has this one token.
    Only(Hash),
    /// Whoever has a token of a file; whoever reaches it for as long as there was no file.
    File(TokenFile, Mutex<Known>),
}

/// What was read of the file.
#[derive(Debug, Default)]
struct Known {
    /// How the file looked then. `None` before there was one.
    fingerprint: Option<FileFingerprint>,
    tokens: Arc<Vec<TokenEntry>>,
}

impl Access {
    /// Everybody may do everything: for tests, and nowhere else.
    #[must_use]
    pub fn open() -> Self {
        Self(Arc::new(Rule::Open))
    }

    /// Whoever has this one token may do everything.
    #[must_use]
    pub fn only(token: &str) -> Self {
        Self(Arc::new(Rule::Only(hash_of(token))))
    }

    /// Those who have a token of this file may do what its role says. The file is read again when it has changed. As long
    /// as there is none, everybody may do everything; once there was one, tokens are needed even if it goes away.
    ///
    /// # Errors
    /// It is there and cannot be used.
    pub fn by_file(path: PathBuf) -> Result<Self, TokenError> {
        let file = TokenFile::new(path);
        let mut known = Known::default();
        known.look(&file)?;
        Ok(Self(Arc::new(Rule::File(file, Mutex::new(known)))))
    }

    /// Whether somebody without a token may come in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &*self.0 {
            Rule::Open => true,
            Rule::Only(_) => false,
            Rule::File(_, known) => known.lock().unwrap_or_else(PoisonError::into_inner).fingerprint.is_none(),
        }
    }

    /// Who sends a request, by its token; `None` where everybody may come in.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Option<Visitor>, Refusal> {
        let visitor = match &*self.0 {
            Rule::Open => return Ok(None),
            Rule::Only(hash) => (*hash == hash_of(token_of(headers)?)).then(Visitor::sole),
            Rule::File(file, known) => {
                let Some(tokens) = current(file, known)? else { return Ok(None) };
                visitor_of(&tokens, token_of(headers)?)
            }
        };
        visitor.map(Some).ok_or_else(unknown_token)
    }
}

/// Who sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// The token's name.
    pub(crate) name: String,
    role: Role,
    /// Whose jobs a worker is given; none where that is all.
    scopes: Vec<String>,
}

impl Visitor {
    /// Who has the only token there is.
    fn sole() -> Self {
        Self { name: "owner".to_owned(), role: Role::Admin, scopes: Vec::new() }
    }

    /// Refuses what the role does not allow.
    pub(crate) fn expect_may(&self, need: Need) -> Result<(), Refusal> {
        if self.role.may(need) { Ok(()) } else { Err(wrong_role(self.role, need)) }
    }

    /// Refuses jobs of scopes that the token is not for.
    pub(crate) fn expect_scopes(&self, wanted: &[String]) -> Result<(), Refusal> {
        let foreign = |scope: &&String| !self.scopes.is_empty() && !self.scopes.contains(scope);
        wanted.iter().find(foreign).map_or(Ok(()), |scope| Err(wrong_scope(scope, &self.scopes)))
    }
}

impl Known {
    /// Reads the file again if it is another one than before.
    fn look(&mut self, file: &TokenFile) -> Result<(), TokenError> {
        let fingerprint = FileFingerprint::from_path(file.path());
        if fingerprint == self.fingerprint {
            return Ok(());
        }
        // a file that went away leaves nobody in
        let was_there = self.fingerprint.is_some();
        let tokens = file.read()?;
        if tokens.is_none() && !was_there {
            return Ok(());
        }
        self.tokens = Arc::new(tokens.unwrap_or_default());
        self.fingerprint = fingerprint.or(self.fingerprint);
        Ok(())
    }
}

/// The tokens of now; `None` where there never was a file. Looking costs one question to the system.
fn current(file: &TokenFile, known: &Mutex<Known>) -> Result<Option<Arc<Vec<TokenEntry>>>, Refusal> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.look(file).map_err(|error| {
        let hint = "put the tokens file in order on the server's machine";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "tokens", error.to_string(), hint)
    })?;
    Ok(known.fingerprint.is_some().then(|| known.tokens.clone()))
}

/// Whose token it is. Compares all of them, so that the time says nothing about which one it was.
fn visitor_of(tokens: &[TokenEntry], token: &str) -> Option<Visitor> {
    let hash = hash_of(token);
    let entry = tokens.iter().fold(None, |found, entry| if entry.is(&hash) { Some(entry) } else { found })?;
    Some(Visitor { name: entry.name.clone(), role: entry.role, scopes: entry.scopes.clone() })
}

fn token_of(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        let hint = "set BUE_TOKEN, in the environment or in .env, to a token that `bue token new` printed";
        Refusal::new(StatusCode::UNAUTHORIZED, "token_missing", "this server answers only those who have a token", hint)
    })?;
    let (kind, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(unknown_token)?;
    if kind.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(unknown_token()) }
}

fn unknown_token() -> Refusal {
    let hint = "it was deleted, or belongs to other servers: `bue token new --role ROLE` on the server's machine makes one; \
                set BUE_TOKEN to it";
    Refusal::new(StatusCode::UNAUTHORIZED, "token_unknown", "this server does not know the token", hint)
}

fn wrong_role(role: Role, need: Need) -> Refusal {
    let able: Vec<_> = Role::ALL.into_iter().filter(|role| role.may(need)).map(Role::name).collect();
    let message = format!("the token's role, {role}, may not do this; {} may", able.join(", "));
    Refusal::new(StatusCode::FORBIDDEN, "role", message, "set BUE_TOKEN to a token of such a role")
}

fn wrong_scope(scope: &str, scopes: &[String]) -> Refusal {
    let message = format!("the token is for workers of {}, and this one wants jobs of `{scope}`", scopes.join(","));
    let hint =
        "start the worker with -s and these scopes, or give it a token of `bue token new --role worker --scopes …`";
    Refusal::new(StatusCode::FORBIDDEN, "scope", message, hint)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use bue_model::Timestamp;
    use http::HeaderValue;

    use super::*;

    fn admit(access: &Access, headers: &HeaderMap, need: Need) -> Result<(), Refusal> {
        access.identify(headers)?.map_or(Ok(()), |visitor| visitor.expect_may(need))
    }

    fn with(token: &str) -> HeaderMap {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    fn add(file: &TokenFile, token: &str, role: Role, name: &str) {
        file.add(TokenEntry::new(token, role, name, Timestamp(7)).expect("an entry")).expect("added");
    }

    #[test]
    fn a_file_is_read_again_when_it_changed_and_its_loss_lets_nobody_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = TokenFile::new(folder.path().join("bue.tokens"));
        let access = Access::by_file(file.path().to_owned()).expect("no file is fine");
        assert!(access.is_open() && admit(&access, &HeaderMap::new(), Need::Operate).is_ok());
        add(&file, "one", Role::Viewer, "a");
        assert!(admit(&access, &HeaderMap::new(), Need::Look).is_err());
        assert!(admit(&access, &with("one"), Need::Look).is_ok() && !access.is_open());
        assert!(admit(&access, &with("one"), Need::Operate).is_err());
        // rotation: both are good until the old one is deleted
        add(&file, "two", Role::Operator, "b");
        assert!(
            admit(&access, &with("one"), Need::Look).is_ok() && admit(&access, &with("two"), Need::Operate).is_ok()
        );
        assert!(file.delete("a").expect("deleted") && !file.delete("a").expect("gone"));
        assert!(admit(&access, &with("one"), Need::Look).is_err() && admit(&access, &with("two"), Need::Look).is_ok());
        fs::write(file.path(), "nonsense\n").expect("written");
        assert!(admit(&access, &with("two"), Need::Look).is_err());
        fs::remove_file(file.path()).expect("removed");
        assert!(
            admit(&access, &HeaderMap::new(), Need::Look).is_err() && admit(&access, &with("two"), Need::Look).is_err()
        );
    }

    #[test]
    fn a_file_of_tokens_is_for_its_owner_alone_and_has_no_token_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = TokenFile::new(folder.path().join("bue.tokens"));
        add(&file, "canary-4711", Role::Admin, "a");
        assert_eq!(fs::metadata(file.path()).expect("a file").mode() & 0o777, 0o600);
        let text = fs::read_to_string(file.path()).expect("text");
        assert!(!text.contains("canary") && text.contains(" admin a 7\n"), "{text}");
        let twice = file.add(TokenEntry::new("x", Role::Viewer, "a", Timestamp(0)).expect("an entry"));
        assert!(matches!(twice, Err(TokenError::Taken(_))));
        for name in ["", "a b", "a\nb", "é", &"x".repeat(65)] {
            assert!(TokenEntry::new("x", Role::Viewer, name, Timestamp(0)).is_err(), "{name}");
        }
        for (role, scope) in [(Role::Viewer, "a"), (Role::Worker, ""), (Role::Worker, "a b"), (Role::Worker, "a,b")] {
            let entry = TokenEntry::new("x", role, "x", Timestamp(0)).expect("an entry");
            assert!(entry.for_scopes(vec![scope.to_owned()]).is_err(), "{role} {scope}");
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing stands about");
    }

    #[test]
    fn other_ways_of_saying_who_one_is_are_refused() {
        let access = Access::only("one");
        for text in ["one", "Basic one", "Bearer", "Bearer ", "Bearer onee", "Bearer one two"] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(text))]);
            assert!(admit(&access, &headers, Need::Know).is_err(), "{text}");
        }
        assert!(admit(&access, &with("one"), Need::Operate).is_ok());
    }
}
