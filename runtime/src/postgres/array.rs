//! PostgreSQL's arrays in text form: `{1,NULL,"a, b"}`, nested lists, `[0:1]={…}` if the first index is not 1.

use bue_model::Value;

/// PostgreSQL's arrays have at most six dimensions.
const MAX_DIMENSIONS: usize = 6;

/// Parses an array. `None` if the text is not one.
pub(super) fn parse(text: &str, element: &dyn Fn(&str) -> Value) -> Option<Value> {
    let braces = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let (list, rest) = parse_list(braces, element, MAX_DIMENSIONS)?;
    rest.is_empty().then_some(list)
}

fn parse_list<'t>(text: &'t str, element: &dyn Fn(&str) -> Value, dimensions: usize) -> Option<(Value, &'t str)> {
    let dimensions = dimensions.checked_sub(1)?;
    let mut rest = text.strip_prefix('{')?;
    let mut items = Vec::new();
    if let Some(remaining) = rest.strip_prefix('}') {
        return Some((Value::List(items), remaining));
    }
    loop {
        let (item, remaining) = match rest.as_bytes().first()? {
            b'{' => parse_list(rest, element, dimensions)?,
            b'"' => parse_quoted(rest, element)?,
            _ => parse_unquoted(rest, element)?,
        };
        items.push(item);
        match remaining.as_bytes().first()? {
            b',' => rest = remaining.get(1..)?,
            b'}' => return Some((Value::List(items), remaining.get(1..)?)),
            _ => return None,
        }
    }
}

fn parse_unquoted<'t>(text: &'t str, element: &dyn Fn(&str) -> Value) -> Option<(Value, &'t str)> {
    let (item, remaining) = text.split_at(text.find([',', '}'])?);
    let value = if item == "NULL" { Value::Null } else { element(item) };
    Some((value, remaining))
}

/// Parses an element in quotes, where a backslash escapes the next character.
fn parse_quoted<'t>(text: &'t str, element: &dyn Fn(&str) -> Value) -> Option<(Value, &'t str)> {
    let mut item = String::new();
    let mut chars = text.char_indices().skip(1);
    loop {
        match chars.next()? {
            (at, '"') => return Some((element(&item), text.get(at + 1..)?)),
            (_, '\\') => item.push(chars.next()?.1),
            (_, other) => item.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use bue_model::Json;
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Option<String> {
        let list = parse(text, &|item| Value::Text(item.to_owned()))?;
        serde_json::to_string(&Json(&list)).ok()
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
