//! A hostile guest and the claims in its first comments. A comment that begins with one of these words is a claim:
//!
//! | word | meaning of the rest |
//! | --- | --- |
//! | `with` | limits: `memory_bytes`, `time_ms`, `cpu_ms`, `result_bytes`, `stream_bytes`, `output_bytes`, `log_bytes`, `net_exchanges` |
//! | `gives` | JSON: the result |
//! | `fails` | `kind: message` |
//! | `log` | a line of the log |
//! | `refused` | a module: why it cannot be compiled or started |
//! | `loop` | the text of a loop that runs over the result |
//! | `at` | `import`: the module is hostile while it is imported |
//! | `replace` | `this -> that`, in the module that the text is inserted into |
//!
//! In texts, `…` matches anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bue_model::{Answer, BlobHash, Bundle, Json, SourceFile, Value, cbor};
use bue_runtime::{Code, CompiledStep, Finished, Limits, Permissions, Placeholders, Task};
use bytes::Bytes;

use super::CANARY;

const WORDS: [&str; 8] = ["with", "gives", "fails", "log", "refused", "loop", "at", "replace"];
/// The hosts that the script of a guest allows.
const ALLOWED_HOSTS: [&str; 4] = ["*.com", "*.example", "0.0.0.0/0", "::/0"];
/// The same for TCP connections.
const ALLOWED_PORTS: [&str; 4] = ["*.com:1-65535", "*.example:1-65535", "0.0.0.0/0:1-65535", "[::]/0:1-65535"];
/// The values of the bucket that the script of a guest allows.
const ALLOWED_VALUES: [&str; 2] = ["allowed/*", "secret/canar"];
/// A harmless Python step, in the guest's module or in a separate one.
const INNOCENT: &str = "\n\ndef innocent(*_):\n    return 7\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Sql,
    Wat,
    Rust,
}

/// A hostile guest.
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) language: Language,
    pub(crate) text: String,
    /// For guests in Rust: the component that contains all of them.
    pub(crate) component: Option<CompiledStep>,
    canary: PathBuf,
    port: u16,
    claims: Vec<(String, String)>,
}

impl Guest {
    /// Reads all guests in a folder. `CANARY_PATH` and `TRAP_PORT` are replaced in their texts.
    pub(crate) fn all(root: &Path, canary: &Path, port: u16) -> Vec<Self> {
        let mut guests = Vec::new();
        for (folder, language) in
            [("python", Language::Python), ("sql", Language::Sql), ("wat", Language::Wat), ("rust", Language::Rust)]
        {
            let entries = fs::read_dir(root.join(folder)).expect("guests").map(|entry| entry.expect("an entry").path());
            let mut paths: Vec<PathBuf> = entries.filter(|path| is_guest(path)).collect();
            paths.sort();
            guests.extend(paths.iter().map(|path| Self::read(path, language, canary, port)));
        }
        let filter = std::env::var("BUE_EVIL").unwrap_or_default();
        guests.retain(|guest| guest.name.contains(&filter));
        guests
    }

    fn read(path: &Path, language: Language, canary: &Path, port: u16) -> Self {
        let text = fs::read_to_string(path).expect("a guest");
        let text = text.replace("CANARY_PATH", &canary.to_string_lossy()).replace("TRAP_PORT", &port.to_string());
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let claims = claims(&text, language, &name);
        let text = match language {
            Language::Python => format!("{text}{INNOCENT}"),
            Language::Sql | Language::Rust => text,
            Language::Wat => module(path, &text, &claims),
        };
        Self { name, language, text, component: None, canary: canary.to_owned(), port, claims }
    }

    pub(crate) fn one(&self, word: &str) -> Option<&str> {
        self.claims_of(word).next()
    }

    fn claims_of<'a>(&'a self, word: &str) -> impl Iterator<Item = &'a str> {
        let word = word.to_owned();
        self.claims.iter().filter(move |(kind, _)| *kind == word).map(|(_, text)| text.as_str())
    }

    pub(crate) fn task(&self, function: &str) -> Task {
        let mut task = task(self.code(&self.text, function));
        let path = Value::Text(self.canary.to_string_lossy().into_owned());
        let inputs = match self.language {
            Language::Sql => vec![],
            Language::Python | Language::Wat => vec![path],
            Language::Rust => vec![path, Value::Int(self.port.into())],
        };
        task.inputs = inputs.iter().map(|value| Bytes::from(cbor::encode(value))).collect();
        task.loop_text = self.one("loop").map(str::to_owned);
        for limit in self.claims_of("with").flat_map(str::split_whitespace) {
            set_limit(&mut task.limits, limit);
        }
        task
    }

    pub(crate) fn innocent_task(&self) -> Task {
        match (self.language, self.one("at")) {
            (Language::Python, Some(_)) => task(self.code(INNOCENT, "innocent")),
            (Language::Sql, _) => task(self.code("SELECT 1 WHERE 0", "")),
            _ => task(self.code(&self.text, "innocent")),
        }
    }

    fn code(&self, text: &str, function: &str) -> Code {
        let file = SourceFile { path: self.name.clone(), content: Bytes::copy_from_slice(text.as_bytes()) };
        let bundle =
            Arc::new(Bundle { entry: self.name.clone(), first_line: 1, files: vec![file], packages: Vec::new() });
        let key = BlobHash(*blake3::hash(format!("{}\n{text}", self.name).as_bytes()).as_bytes());
        match self.language {
            Language::Sql => {
                Code::Sqlite { bundle, key, table: "rows".to_owned(), placeholders: Placeholders::default() }
            }
            Language::Python | Language::Wat => {
                Code::Python { bundle, key, function: function.to_owned(), keywords: None, packages: None }
            }
            Language::Rust => {
                let step = self.component.clone().expect("the component of all guests");
                let file = self.name.trim_end_matches(".rs");
                Code::Wasm { step, function: if function == "evil" { file } else { function }.to_owned() }
            }
        }
    }

    /// Returns the claims that do not hold.
    pub(crate) fn problems(&self, finished: &Finished) -> Vec<String> {
        let mut problems = Vec::new();
        let answer = answer_text(&finished.answer);
        let claim = match (self.one("gives"), self.one("fails")) {
            (Some(json), _) => format!("gives: {json}"),
            (_, Some(words)) => format!("fails: {words}"),
            _ => "a claim, which is missing".to_owned(),
        };
        if !matches(&claim, &answer) {
            problems.push(format!("expected\n  {claim}\nbut the answer is\n  {answer}"));
        }
        let log = String::from_utf8_lossy(&finished.log).into_owned();
        for line in self.claims_of("log").filter(|line| !log.lines().any(|logged| matches(line, logged))) {
            problems
                .push(format!("its log does not contain {line:?}:\n{}", log.chars().take(2000).collect::<String>()));
        }
        if answer.contains(CANARY) || log.contains(CANARY) {
            problems.push("it read a file of this machine".to_owned());
        }
        if log.chars().any(|char| char.is_control() && !matches!(char, '\n' | '\t')) {
            problems.push("its log contains control characters".to_owned());
        }
        problems
    }
}

/// Whether this is a source file without a part of its path that begins with `_`.
fn is_guest(path: &Path) -> bool {
    let is_source = path.extension().is_some_and(|kind| ["py", "sql", "wat", "rs"].iter().any(|known| kind == *known));
    is_source && !path.to_string_lossy().contains("/_")
}

/// Whether a text matches this pattern, in which `…` matches anything.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut remaining) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return remaining.is_empty() };
    for part in middle {
        match remaining.split_once(part) {
            Some((_, after)) => remaining = after,
            None => return false,
        }
    }
    remaining.ends_with(last)
}

/// Reads the claims in the comments before the first line of code.
fn claims(text: &str, language: Language, name: &str) -> Vec<(String, String)> {
    let comment = match language {
        Language::Python => "# ",
        Language::Sql => "-- ",
        Language::Wat => ";; ",
        Language::Rust => "//! ",
    };
    let lines = text.lines().map_while(|line| line.strip_prefix(comment));
    let claims = lines.filter_map(|line| line.split_once(": ")).filter(|(word, _)| WORDS.contains(word));
    let claims: Vec<(String, String)> = claims.map(|(word, text)| (word.to_owned(), text.to_owned())).collect();
    assert!(!claims.is_empty(), "{name} claims nothing");
    claims
}

/// Returns a complete module: the common frame with the text of the guest inserted.
fn module(path: &Path, text: &str, claims: &[(String, String)]) -> String {
    let frame = fs::read_to_string(path.with_file_name("_guest.wat")).expect("the frame");
    let mut module = frame.replace(";; GUEST", text);
    for (_, change) in claims.iter().filter(|(word, _)| word == "replace") {
        let (this, that) = change.split_once(" -> ").expect("`this -> that`");
        assert!(frame.contains(this), "{}: nothing to replace", path.display());
        module = module.replacen(this, that, 1);
    }
    module
}

fn task(code: Code) -> Task {
    let mut permissions = Permissions::default();
    permissions.net = ALLOWED_HOSTS.iter().map(|rule| rule.parse().expect("a rule")).collect();
    permissions.tcp = ALLOWED_PORTS.iter().map(|rule| rule.parse().expect("a rule")).collect();
    permissions.bucket = ALLOWED_VALUES.iter().map(|pattern| pattern.parse().expect("a pattern")).collect();
    Task { code, inputs: Vec::new(), env: None, loop_text: None, limits: Limits::default(), permissions }
}

fn set_limit(limits: &mut Limits, text: &str) {
    let (name, number) = text.split_once('=').expect("limit=number");
    let number: u64 = number.parse().expect("a number");
    match name {
        "memory_bytes" => limits.memory_bytes = number,
        "time_ms" => limits.time = Duration::from_millis(number),
        "cpu_ms" => limits.cpu = Duration::from_millis(number),
        "result_bytes" => limits.result_bytes = number,
        "stream_bytes" => limits.stream_bytes = number,
        "output_bytes" => limits.output_bytes = number,
        "log_bytes" => limits.log_bytes = number,
        "net_exchanges" => limits.net_exchanges = u32::try_from(number).expect("few"),
        other => panic!("no limit {other}"),
    }
}

fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Failed(failure) => format!("fails: {}: {}", failure.kind.name(), failure.message),
        Answer::Completed { value, streamed: false, .. } => {
            let value = cbor::decode(value).expect("CBOR");
            format!("gives: {}", serde_json::to_string(&Json(&value)).expect("JSON"))
        }
        other => format!("{other:?}"),
    }
}
