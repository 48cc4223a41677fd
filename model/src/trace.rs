//! [`TraceContext`]: which span a request belongs to, as the header `traceparent` says it (W3C Trace Context).

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of the header that carries a [`TraceContext`].
pub const TRACEPARENT: &str = "traceparent";

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// The digits of the parts of a header: version, trace, span, flags.
const PARTS: [usize; 4] = [2, 32, 16, 2];

/// A span of a trace. Neither id is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// The id of the trace.
    pub trace: [u8; 16],
    /// The id of the span.
    pub span: [u8; 8],
    /// Whether the trace is recorded. Who gets a context that is not records nothing either.
    pub sampled: bool,
}

impl fmt::Display for TraceContext {
    /// Writes it as the header's value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", u8::from(self.sampled))
    }
}

/// The error for a text that is not the value of a header `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a traceparent looks like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01: a version, the ids of a trace and of a span, \
     and flags, in lower-case hexadecimal digits; neither id is all zeros"
)]
pub struct ParseTraceContextError;

impl FromStr for TraceContext {
    type Err = ParseTraceContextError;

    /// Parses the header's value. That of a later version may go on after the flags.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let mut next = |digits: usize| parts.next().filter(|part| part.len() == digits).ok_or(ParseTraceContextError);
        let [version, trace, span, flags] = PARTS;
        let [version] = bytes::<1>(next(version)?)?;
        let (trace, span, [flags]) = (bytes(next(trace)?)?, bytes(next(span)?)?, bytes(next(flags)?)?);
        let is_complete = version != 0 || parts.next().is_none();
        if version == 0xff || !is_complete || trace == [0; 16] || span == [0; 8] {
            return Err(ParseTraceContextError);
        }
        Ok(Self { trace, span, sampled: flags & SAMPLED != 0 })
    }
}

/// Returns the bytes of lower-case hexadecimal digits.
fn bytes<const N: usize>(digits: &str) -> Result<[u8; N], ParseTraceContextError> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseTraceContextError),
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = pair.iter().try_fold(0, |byte, digit| Ok(byte << 4 | value(*digit)?))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_survives_a_round_trip() {
        let context: TraceContext = EXAMPLE.parse().expect("a context");
        assert!(context.sampled && context.trace[0] == 0x4b && context.span[7] == 0xb7);
        assert_eq!(context.to_string(), EXAMPLE);
        let unsampled = TraceContext { sampled: false, ..context };
        assert_eq!(unsampled.to_string().parse(), Ok(unsampled));
    }

    #[test]
    fn only_what_the_standard_allows_is_parsed() {
        let later = EXAMPLE.replace("00-4", "cc-4");
        for (text, is_valid) in [
            (EXAMPLE.to_owned(), true),
            (EXAMPLE.replace("-01", "-03"), true),
            (later.clone(), true),
            (format!("{later}-more"), true),
            (format!("{EXAMPLE}-more"), false),
            (format!("{later}more"), false),
            (EXAMPLE.replace("00-4", "ff-4"), false),
            (EXAMPLE.to_uppercase(), false),
            (EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)), false),
            (EXAMPLE.replace("00f067aa0ba902b7", &"0".repeat(16)), false),
            (EXAMPLE.replace('b', "g"), false),
            (EXAMPLE.replace("4bf", "é4"), false),
            (EXAMPLE[..54].to_owned(), false),
            ("0".repeat(55), false),
            (String::new(), false),
        ] {
            assert_eq!(text.parse::<TraceContext>().is_ok(), is_valid, "{text}");
        }
    }
}
