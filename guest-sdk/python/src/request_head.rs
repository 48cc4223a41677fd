//! Reads the head of an HTTP/1.1 request that a Python library has written as bytes, and checks headers that it would write.

use bytes::Bytes;

/// Bodies up to this length are sent together with their request; longer and chunked ones as they are written.
const MAX_WHOLE_BODY: usize = 1024 * 1024;
const END: &[u8] = b"\r\n\r\n";

/// The head of a request.
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, Bytes)>,
    /// Its length in bytes.
    pub(crate) len: usize,
}

/// How a body is sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyLen {
    /// With the request; this many bytes follow the head.
    Whole(usize),
    /// As it is written: its length, or -1 if it is in chunks.
    Streamed(i64),
}

impl Head {
    /// Reads the head at the beginning of these bytes. `None` if its end is missing.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let end = data.windows(END.len()).position(|window| window == END)?;
        let mut lines = split_lines(data.get(..end)?).into_iter();
        let (request, _version) = split_last(lines.next().unwrap_or_default(), b' ');
        let (method, target) = split_first(request, b' ');
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        for line in lines {
            match headers.last_mut() {
                // a value continued on the next line
                Some((_, value)) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                    value.push(b' ');
                    value.extend_from_slice(line.trim_ascii());
                }
                _ => {
                    let (name, value) = split_first(line, b':');
                    headers.push((latin1(name), value.trim_ascii().to_vec()));
                }
            }
        }
        let headers = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
        Some(Self { method: latin1(method), target: latin1(target), headers, len: end + END.len() })
    }

    /// How long its body is, or why that is not known.
    pub(crate) fn body_len(&self) -> Result<BodyLen, String> {
        let encoding = self.header("transfer-encoding").unwrap_or_default().to_ascii_lowercase();
        if encoding.windows(b"chunked".len()).any(|window| window == b"chunked") {
            return Ok(BodyLen::Streamed(-1));
        }
        let Some(text) = self.header("content-length").filter(|text| !text.is_empty()) else {
            return Ok(BodyLen::Whole(0));
        };
        let text = String::from_utf8_lossy(text);
        let len: u64 = text.parse().map_err(|_| format!("`{text}` is not the length of a body"))?;
        match usize::try_from(len) {
            Ok(len) if len <= MAX_WHOLE_BODY => Ok(BodyLen::Whole(len)),
            _ => i64::try_from(len).map(BodyLen::Streamed).map_err(|_| format!("a body of {len} bytes is too long")),
        }
    }

    fn header(&self, wanted: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_ref())
    }
}

/// The bytes of a header's value as `http.client` sends them. `None` if it refuses the header, or may not send it as it is.
pub(crate) fn plain_value(name: &str, value: &str) -> Option<Vec<u8>> {
    let is_legal = name.is_ascii() && !name.starts_with(is_space) && !name.contains([':', '\r', '\n']);
    if name.is_empty() || !is_legal || value.contains(['\r', '\n']) {
        return None;
    }
    value.trim_matches(is_space).chars().map(|char| u8::try_from(u32::from(char)).ok()).collect()
}

/// Does a header say how the body is sent?
pub(crate) fn is_framing(name: &str) -> bool {
    ["content-length", "transfer-encoding", "expect"].iter().any(|framing| name.eq_ignore_ascii_case(framing))
}

/// What `bytes.strip` of Python removes.
const fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn split_lines(head: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut rest) = (Vec::new(), head);
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let (line, next) = rest.split_at(end);
        lines.push(line);
        rest = next.get(2..).unwrap_or_default();
    }
    lines.push(rest);
    lines
}

/// What is before and after the first separator; everything and nothing if there is none.
fn split_first(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let at = text.iter().position(|byte| *byte == separator).unwrap_or(text.len());
    (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default())
}

/// The same for the last separator; nothing and everything if there is none.
fn split_last(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match text.iter().rposition(|byte| *byte == separator) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => (&[], text),
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
