//! Checks encoded values from guests, which are not trusted to be well-formed.

use bue_model::job::INLINE_LIMIT;
use bue_model::{Answer, cbor};

use crate::step::task::Items;

/// Checks that this is an array of the claimed number of elements.
pub(crate) fn check_items(items: &Items) -> Result<(), String> {
    let wrong = |error| format!("elements that are {error}");
    let mut count = 0_u64;
    for element in cbor::array_items(&items.items).map_err(wrong)?.into_iter().flatten() {
        element.map_err(wrong)?;
        count += 1;
    }
    match count == u64::from(items.count) {
        true => Ok(()),
        false => Err(format!("elements that are not an array of {}", items.count)),
    }
}

/// Bytes of a value beyond which it is checked in another thread: tens of milliseconds in which this process would not answer its
/// parent, and several such values at once would keep it from proving in time that it is alive.
const LARGE_VALUE: usize = 1024 * 1024;

/// Returns an answer whose values are well-formed, and whose environment can travel with the jobs that get it; or else what is wrong.
pub(crate) async fn checked_answer(answer: Answer) -> Result<Answer, String> {
    let is_large = matches!(&answer, Answer::Completed { value, .. } if value.len() > LARGE_VALUE);
    let check = move || check_answer(&answer).map(|()| answer);
    if !is_large {
        return check();
    }
    let checked = tokio::task::spawn_blocking(check).await;
    checked.unwrap_or_else(|error| Err(format!("a value that could not be checked: {error}")))
}

fn check_answer(answer: &Answer) -> Result<(), String> {
    let Answer::Completed { value, streamed, hints } = answer else { return Ok(()) };
    if !streamed {
        check_value(value)?;
    }
    hints.env.as_ref().map_or(Ok(()), |env| check_env(env))
}

fn check_env(env: &[u8]) -> Result<(), String> {
    match env.len() > INLINE_LIMIT {
        true => {
            Err(format!("an `env` of {} bytes, and at most {INLINE_LIMIT} can pass to the steps after it", env.len()))
        }
        false => check_value(env),
    }
}

fn check_value(bytes: &[u8]) -> Result<(), String> {
    cbor::check(bytes).map_err(|error| format!("a value that is {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bue_model::job::Hints;
    use bytes::Bytes;

    fn completed(value: &'static [u8], streamed: bool) -> Answer {
        Answer::Completed { value: Bytes::from_static(value), streamed, hints: Hints::default() }
    }

    #[test]
    fn malformed_values_are_found() {
        assert!(check_answer(&completed(&[0x83, 1, 2, 3], false)).is_ok());
        assert!(check_answer(&completed(&[0x83, 1, 2], false)).is_err());
        assert!(check_answer(&completed(&[1, 2], false)).is_err());
        assert!(check_answer(&completed(&[], true)).is_ok());
        assert!(check_items(&Items { count: 2, items: Bytes::from_static(&[0x82, 1, 2]), early: false }).is_ok());
        assert!(check_items(&Items { count: 3, items: Bytes::from_static(&[0x82, 1, 2]), early: false }).is_err());
        assert!(check_items(&Items { count: 1, items: Bytes::from_static(&[1]), early: false }).is_err());
    }
}
