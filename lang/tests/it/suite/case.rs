//! The form of the suite's files; `suite/README.md` describes it.

use std::path::{Path, PathBuf};

/// The prefix of an expectation for the program's line above it.
pub(crate) const ANNOTATION: &str = "#~";

/// Begins the expected plan.
pub(crate) const PLAN: &str = "--- plan ---";

/// A file of the suite.
pub(crate) struct SuiteFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) cases: Vec<Case>,
}

/// A program with what is expected of it.
pub(crate) struct Case {
    /// Unique in the suite.
    pub(crate) name: String,
    /// Its header, its lines and its expectations, as in the file.
    pub(crate) text: String,
    /// The lines of the program, without line breaks.
    pub(crate) lines: Vec<String>,
    /// What a line of the file cannot show, from the header's parentheses.
    attributes: Vec<Attribute>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attribute {
    ByteOrderMark,
    CrLf,
    Cr,
    NoNewline,
}

impl Attribute {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "byte order mark" => Some(Self::ByteOrderMark),
            "crlf" => Some(Self::CrLf),
            "cr" => Some(Self::Cr),
            "no newline" => Some(Self::NoNewline),
            _ => None,
        }
    }
}

impl Case {
    fn parse(text: &str) -> Self {
        let (header, body) = text.split_once('\n').unwrap_or((text, ""));
        let header = header_content(header).expect("a header");
        let (name, attributes) = match header.strip_suffix(')').and_then(|header| header.split_once(" (")) {
            Some((name, list)) => (name, list.split(", ").map(Attribute::from_name).collect()),
            None => (header, Some(Vec::new())),
        };
        let attributes = attributes.expect("attributes that lang/suite/README.md lists");
        // at LF alone: a carriage return would be part of its line
        let program = body.split_terminator('\n').take_while(|line| *line != PLAN);
        let lines = program.filter(|line| !line.starts_with(ANNOTATION)).map(str::to_owned).collect();
        Self { name: name.to_owned(), text: text.to_owned(), lines, attributes }
    }

    /// The first line of the case.
    pub(crate) fn header(&self) -> &str {
        self.text.split('\n').next().unwrap_or_default()
    }

    /// The program, byte for byte.
    pub(crate) fn program(&self) -> String {
        let has = |attribute| self.attributes.contains(&attribute);
        let line_break = match (has(Attribute::CrLf), has(Attribute::Cr)) {
            (true, _) => "\r\n",
            (_, true) => "\r",
            (false, false) => "\n",
        };
        let mark = if has(Attribute::ByteOrderMark) { "\u{feff}" } else { "" };
        let last = if self.lines.is_empty() || has(Attribute::NoNewline) { "" } else { line_break };
        format!("{mark}{}{last}", self.lines.join(line_break))
    }
}

/// `name` or `name (attribute, …)` of a line `--- name ---`; `None` for other lines.
fn header_content(line: &str) -> Option<&str> {
    if line == PLAN { None } else { line.strip_prefix("--- ")?.strip_suffix(" ---") }
}

/// The cases of a file, one blank line between two.
fn cases(text: &str) -> Vec<Case> {
    let mut parts: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        if header_content(line.trim_end_matches('\n')).is_some() {
            if let Some(before) = parts.last_mut().filter(|before| before.ends_with("\n\n")) {
                before.pop();
            }
            parts.push(String::new());
        }
        parts.last_mut().expect("a file of the suite begins with a header").push_str(line);
    }
    parts.iter().map(|part| Case::parse(part)).collect()
}

/// Every file of the suite, sorted by path.
pub(crate) fn suite_files(suite: &Path) -> Vec<SuiteFile> {
    let chapters = entries(suite).into_iter().filter(|path| path.is_dir());
    chapters.flat_map(|chapter| entries(&chapter)).map(suite_file).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of the suite");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry of the suite").path()).collect();
    paths.sort();
    paths
}

fn suite_file(path: PathBuf) -> SuiteFile {
    assert!(path.extension().is_some_and(|end| end == "bue"), "{} is not a file of the suite", path.display());
    let text = std::fs::read_to_string(&path).expect("a file of the suite is UTF-8");
    let cases = cases(&text);
    SuiteFile { path, text, cases }
}
