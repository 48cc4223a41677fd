//! PostgreSQL's arrays in text form: `{1,NULL,"a, b"}`, nested lists, `[0:1]={…}` if the first index is not 1.

use bue_model::cbor;

/// PostgreSQL's arrays have at most six dimensions.
const MAX_DIMENSIONS: usize = 6;

/// Appends the CBOR of an element.
type EncodeElement<'a> = &'a dyn Fn(&mut Vec<u8>, &str);

/// Appends the CBOR of an array. `None`, after some bytes, if the text is not one.
pub(super) fn encode(to: &mut Vec<u8>, text: &str, element: EncodeElement<'_>) -> Option<()> {
    let braces = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    encode_list(to, braces, element, MAX_DIMENSIONS)?.is_empty().then_some(())
}

/// Returns the text behind the list. The head of the list contains its length, so it is inserted at the end.
fn encode_list<'t>(to: &mut Vec<u8>, text: &'t str, element: EncodeElement<'_>, dimensions: usize) -> Option<&'t str> {
    let dimensions = dimensions.checked_sub(1)?;
    let mut rest = text.strip_prefix('{')?;
    let (begin, mut count) = (to.len(), 0);
    if let Some(remaining) = rest.strip_prefix('}') {
        to.extend_from_slice(&cbor::array_head(0));
        return Some(remaining);
    }
    loop {
        let remaining = match rest.as_bytes().first()? {
            b'{' => encode_list(to, rest, element, dimensions)?,
            b'"' => encode_quoted(to, rest, element)?,
            _ => encode_unquoted(to, rest, element)?,
        };
        count += 1;
        match remaining.as_bytes().first()? {
            b',' => rest = remaining.get(1..)?,
            b'}' => {
                to.splice(begin..begin, cbor::array_head(count));
                return remaining.get(1..);
            }
            _ => return None,
        }
    }
}

fn encode_unquoted<'t>(to: &mut Vec<u8>, text: &'t str, element: EncodeElement<'_>) -> Option<&'t str> {
    let (item, remaining) = text.split_at(text.find([',', '}'])?);
    if item == "NULL" {
        to.extend_from_slice(cbor::NULL);
    } else {
        element(to, item);
    }
    Some(remaining)
}

/// Appends an element in quotes, where a backslash escapes the next character.
fn encode_quoted<'t>(to: &mut Vec<u8>, text: &'t str, element: EncodeElement<'_>) -> Option<&'t str> {
    let mut item = String::new();
    let mut chars = text.char_indices().skip(1);
    loop {
        match chars.next()? {
            (at, '"') => {
                element(to, &item);
                return text.get(at + 1..);
            }
            (_, '\\') => item.push(chars.next()?.1),
            (_, other) => item.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use bue_model::{Json, Value};
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let element = |to: &mut Vec<u8>, item: &str| to.extend(cbor::encode(&Value::Text(item.to_owned())));
        encode(&mut bytes, text, &element)?;
        serde_json::to_string(&Json(&cbor::decode(&bytes).expect("CBOR"))).ok()
    }

    #[test]
    fn arrays_are_lists() {
        for (text, expected) in [
            ("{}", "[]"),
            ("{1,NULL,\"NULL\",a b}", r#"["1",null,"NULL","a b"]"#),
            (r#"{"a\"b\\","{,}",é}"#, r#"["a\"b\\","{,}","é"]"#),
            ("{{1,2},{3,4}}", r#"[["1","2"],["3","4"]]"#),
            ("[0:1]={1,2}", r#"["1","2"]"#),
        ] {
            assert_eq!(json(text).as_deref(), Some(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_to_an_end(text in "[{}\",\\\\a=\\[é]{0,40}") {
            let _ = json(&text);
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert_eq!(json(&"{".repeat(100_000)), None);
    }
}
