//! [`headline`]: what failures with the same cause have in common. Pure.

use bue_model::text::truncate_bytes;

/// Characters of a headline.
const MAX_CHARS: usize = 200;
/// Bytes of a message that are looked at: enough for that many characters, also if numbers are long.
const MAX_BYTES: usize = 4 * 1024;
/// Hexadecimal digits, at least one of them a decimal one, that are a number and not a word.
const MIN_HEX: usize = 4;
/// The lengths of the groups of a UUID.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// Returns the first line of a message, with `#` for each number, UUID and other row of hexadecimal digits.
pub(crate) fn headline(message: &str) -> String {
    let line = message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let mut line = line.to_owned();
    truncate_bytes(&mut line, MAX_BYTES);
    let (mut out, mut rest) = (String::new(), &*line);
    while let Some(first) = rest.chars().next() {
        let bytes = if let Some(bytes) = uuid_at(rest) {
            out.push('#');
            bytes
        } else if first.is_ascii_alphanumeric() {
            let bytes = alphanumerics_at(rest);
            add_word(&mut out, rest.get(..bytes).unwrap_or_default());
            bytes
        } else {
            out.push(if first.is_control() { ' ' } else { first });
            first.len_utf8()
        };
        rest = rest.get(bytes..).unwrap_or_default();
    }
    out.chars().take(MAX_CHARS).collect()
}

fn alphanumerics_at(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_alphanumeric).count()
}

/// Returns the bytes of the UUID at the beginning of a text.
fn uuid_at(text: &str) -> Option<usize> {
    let mut bytes = 0;
    for (position, length) in UUID_GROUPS.into_iter().enumerate() {
        if position > 0 {
            text.get(bytes..)?.strip_prefix('-')?;
            bytes += 1;
        }
        let group = text.get(bytes..)?;
        let word = group.get(..alphanumerics_at(group))?;
        if word.len() != length || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        bytes += length;
    }
    Some(bytes)
}

/// Adds a word of letters and digits.
fn add_word(out: &mut String, word: &str) {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    if is_hex && (digits.len() < word.len() || (has_digit && digits.len() >= MIN_HEX)) {
        out.push('#');
        return;
    }
    let mut is_in_number = false;
    for char in word.chars() {
        match char.is_ascii_digit() {
            true if is_in_number => {}
            true => out.push('#'),
            false => out.push(char),
        }
        is_in_number = char.is_ascii_digit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_failures_of_one_cause_is_replaced() {
        for (message, expected) in [
            ("ValueError: row 17 of 250 is bad\nmore", "ValueError: row # of # is bad"),
            ("\n  \n at 0x7f3a9c", "at #"),
            ("no user 3f2a41d7-1b2c-4d5e-8f90-aaaabbbbcccc here", "no user # here"),
            ("no user deadbeef-dead-beef-dead-beefdeadbeef here", "no user # here"),
            ("commit 9f86d081 of step12 in v1.5", "commit # of step# in v#.#"),
            ("the cafe added a facade", "the cafe added a facade"),
            ("2026-11-01T06:00:00Z", "#-#-#T#:#:#Z"),
            ("größe 3 \u{1b}[31m\0é", "größe #  [#m é"),
            ("", ""),
        ] {
            assert_eq!(headline(message), expected, "{message:?}");
        }
    }

    #[test]
    fn a_headline_is_short() {
        assert_eq!(headline(&"é".repeat(10_000)).chars().count(), MAX_CHARS);
        assert_eq!(headline(&"7".repeat(10_000)), "#");
    }
}
