//! A hostile guest and what its head says of it. A comment there that begins with one of these words is a claim:
//!
//! | word | what follows it |
//! | --- | --- |
//! | `with` | limits: `memory_bytes`, `time_ms`, `cpu_ms`, `result_bytes`, `stream_bytes`, `output_bytes`, `log_bytes`, `net_exchanges` |
//! | `gives` | JSON: the result |
//! | `fails` | `kind: message` |
//! | `log` | a line of the log |
//! | `refused` | a module: why it is not even compiled or started |
//! | `loop` | the text of a loop that runs over the result |
//! | `at` | `import`: the harm is done while the module is imported |
//! | `replace` | `this -> that`, in what a module is put into |
//!
//! In texts `…` stands for anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bue_model::{Answer, BlobHash, Bundle, Json, SourceFile, Value, cbor};
use bue_runtime::{Code, CompiledStep, Finished, Limits, Permissions, Placeholders, Task};
use bytes::Bytes;

use super::CANARY;

const WORDS: [&str; 8] = ["with", "gives", "fails", "log", "refused", "loop", "at", "replace"];
/// Hosts a guest may speak to as far as its script goes.
const RULES: [&str; 4] = ["*.com", "*.example", "0.0.0.0/0", "::/0"];
/// What an innocent step of Python is, in the guest's module or in one of its own.
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
    /// Of a guest in Rust: all of them, one component.
    pub(crate) component: Option<CompiledStep>,
    canary: PathBuf,
    port: u16,
    words: Vec<(String, String)>,
}

impl Guest {
    /// All guests below a folder. In their texts `CANARY_PATH` and `TRAP_PORT` are filled in.
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
        let words = head(&text, language, &name);
        let text = match language {
            Language::Python => format!("{text}{INNOCENT}"),
            Language::Sql | Language::Rust => text,
            Language::Wat => module(path, &text, &words),
        };
        Self { name, language, text, component: None, canary: canary.to_owned(), port, words }
    }

    pub(crate) fn one(&self, word: &str) -> Option<&str> {
        self.said(word).next()
    }

    fn said<'a>(&'a self, word: &str) -> impl Iterator<Item = &'a str> {
        let word = word.to_owned();
        self.words.iter().filter(move |(known, _)| *known == word).map(|(_, said)| said.as_str())
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
        for limit in self.said("with").flat_map(str::split_whitespace) {
            set(&mut task.limits, limit);
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
                Code::Python { bundle, key, function: function.to_owned(), packages: None }
            }
            Language::Rust => {
                let step = self.component.clone().expect("the component of all guests");
                let file = self.name.trim_end_matches(".rs");
                Code::Wasm { step, function: if function == "evil" { file } else { function }.to_owned() }
            }
        }
    }

    /// What of it is not as its head claims.
    pub(crate) fn complaints(&self, finished: &Finished) -> Vec<String> {
        let mut complaints = Vec::new();
        let said = answer_text(&finished.answer);
        let claim = match (self.one("gives"), self.one("fails")) {
            (Some(json), _) => format!("gives: {json}"),
            (_, Some(words)) => format!("fails: {words}"),
            _ => "something, which its head does not say".to_owned(),
        };
        if !matches(&claim, &said) {
            complaints.push(format!("it must have\n  {claim}\nand has\n  {said}"));
        }
        let log = String::from_utf8_lossy(&finished.log).into_owned();
        for line in self.said("log").filter(|line| !log.lines().any(|logged| matches(line, logged))) {
            complaints.push(format!("its log does not say {line:?}:\n{}", log.chars().take(2000).collect::<String>()));
        }
        if said.contains(CANARY) || log.contains(CANARY) {
            complaints.push("it read a file of this machine".to_owned());
        }
        if log.chars().any(|char| char.is_control() && !matches!(char, '\n' | '\t')) {
            complaints.push("its log holds control characters".to_owned());
        }
        complaints
    }
}

/// Files of which a part begins with `_`, and others than sources, are none.
fn is_guest(path: &Path) -> bool {
    let source = path.extension().is_some_and(|kind| ["py", "sql", "wat", "rs"].iter().any(|known| kind == *known));
    source && !path.to_string_lossy().contains("/_")
}

/// Does a text look like this, where `…` stands for anything?
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The claims in the comments before the first line of code.
fn head(text: &str, language: Language, name: &str) -> Vec<(String, String)> {
    let comment = match language {
        Language::Python => "# ",
        Language::Sql => "-- ",
        Language::Wat => ";; ",
        Language::Rust => "//! ",
    };
    let lines = text.lines().map_while(|line| line.strip_prefix(comment));
    let words = lines.filter_map(|line| line.split_once(": ")).filter(|(word, _)| WORDS.contains(word));
    let words: Vec<(String, String)> = words.map(|(word, said)| (word.to_owned(), said.to_owned())).collect();
    assert!(!words.is_empty(), "{name} claims nothing");
    words
}

/// A whole module: what all of them have, and this.
fn module(path: &Path, text: &str, words: &[(String, String)]) -> String {
    let frame = fs::read_to_string(path.with_file_name("_guest.wat")).expect("the frame");
    let mut module = frame.replace(";; GUEST", text);
    for (_, change) in words.iter().filter(|(word, _)| word == "replace") {
        let (this, that) = change.split_once(" -> ").expect("`this -> that`");
        assert!(frame.contains(this), "{}: nothing to replace", path.display());
        module = module.replacen(this, that, 1);
    }
    module
}

fn task(code: Code) -> Task {
    let mut permissions = Permissions::default();
    permissions.net = RULES.iter().map(|rule| rule.parse().expect("a rule")).collect();
    Task { code, inputs: Vec::new(), env: None, loop_text: None, limits: Limits::default(), permissions }
}

fn set(limits: &mut Limits, text: &str) {
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
