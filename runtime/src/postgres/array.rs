//! PostgreSQL's arrays as text: `{1,NULL,"a, b"}`, lists in lists, `[0:1]={…}` where they do not begin with 1.

use bue_model::Value;

/// PostgreSQL's arrays have at most six dimensions.
const MAX_DIMENSIONS: usize = 6;

/// The list that a text stands for, if it is an array.
pub(super) fn read(text: &str, element: &dyn Fn(&str) -> Value) -> Option<Value> {
    let braces = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let (list, rest) = list(braces, element, MAX_DIMENSIONS)?;
    rest.is_empty().then_some(list)
}

fn list<'t>(text: &'t str, element: &dyn Fn(&str) -> Value, dimensions: usize) -> Option<(Value, &'t str)> {
    let dimensions = dimensions.checked_sub(1)?;
    let mut rest = text.strip_prefix('{')?;
    let mut items = Vec::new();
    if let Some(behind) = rest.strip_prefix('}') {
        return Some((Value::List(items), behind));
    }
    loop {
        let (item, behind) = match rest.as_bytes().first()? {
            b'{' => list(rest, element, dimensions)?,
            b'"' => quoted(rest, element)?,
            _ => bare(rest, element)?,
        };
        items.push(item);
        match behind.as_bytes().first()? {
            b',' => rest = behind.get(1..)?,
            b'}' => return Some((Value::List(items), behind.get(1..)?)),
            _ => return None,
        }
    }
}

fn bare<'t>(text: &'t str, element: &dyn Fn(&str) -> Value) -> Option<(Value, &'t str)> {
    let (item, behind) = text.split_at(text.find([',', '}'])?);
    let value = if item == "NULL" { Value::Null } else { element(item) };
    Some((value, behind))
}

/// Behind a backslash stands what is meant.
fn quoted<'t>(text: &'t str, element: &dyn Fn(&str) -> Value) -> Option<(Value, &'t str)> {
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
        let list = read(text, &|item| Value::Text(item.to_owned()))?;
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
        fn any_text_ends(text in "[{}\",\\\\a=\\[é]{0,40}") {
            let _ = json(&text);
        }
    }

    #[test]
    fn deep_braces_end() {
        assert_eq!(json(&"{".repeat(100_000)), None);
    }
}
