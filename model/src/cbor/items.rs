//! Walks over encoded values without decoding them: in constant memory, and never deeper than a value may nest.

use minicbor::data::Type;
use minicbor::decode::Decoder;

use super::error::{CborError, MAX_DEPTH};
use super::tags::{TAG_SET, TAG_TUPLE};

/// The encoded elements of an array, one after another. Ends after the first error.
#[derive(Clone, Debug)]
pub struct ArrayItems<'a> {
    decoder: Decoder<'a>,
    bytes: &'a [u8],
    /// `None` for an array of indefinite length.
    count: Option<u64>,
    seen: usize,
    is_broken: bool,
}

/// Returns the encoded elements of an encoded array (or tuple, or set), or `None` if it is not an array.
///
/// # Errors
/// Bytes that do not begin with a well-formed head.
pub fn array_items(bytes: &[u8]) -> Result<Option<ArrayItems<'_>>, CborError> {
    let mut decoder = Decoder::new(bytes);
    while decoder.datatype()? == Type::Tag {
        let tag = decoder.tag()?.as_u64();
        if !matches!(tag, TAG_TUPLE | TAG_SET) {
            return Ok(None);
        }
    }
    if !matches!(decoder.datatype()?, Type::Array | Type::ArrayIndef) {
        return Ok(None);
    }
    let count = decoder.array()?;
    Ok(Some(ArrayItems { decoder, bytes, count, seen: 0, is_broken: false }))
}

impl<'a> ArrayItems<'a> {
    fn read(&mut self) -> Result<Option<&'a [u8]>, CborError> {
        if !has_more(&mut self.decoder, self.count, self.seen)? {
            return Ok(None);
        }
        self.seen += 1;
        let start = self.decoder.position();
        skip(&mut self.decoder, MAX_DEPTH - 1)?;
        let item = self.bytes.get(start..self.decoder.position());
        item.map(Some).ok_or(CborError::Unsupported("an element out of bounds"))
    }
}

impl<'a> Iterator for ArrayItems<'a> {
    type Item = Result<&'a [u8], CborError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken {
            return None;
        }
        let item = self.read().transpose();
        self.is_broken = !matches!(item, Some(Ok(_)));
        item
    }
}

/// Checks that bytes are exactly one value, well-formed and not nested too deep.
///
/// # Errors
/// They are not.
pub fn check(bytes: &[u8]) -> Result<(), CborError> {
    let mut decoder = Decoder::new(bytes);
    skip(&mut decoder, MAX_DEPTH)?;
    match decoder.position() == bytes.len() {
        true => Ok(()),
        false => Err(CborError::Unsupported("bytes behind the value")),
    }
}

/// Skips a value. minicbor's own `skip` needs memory for every open level, and bytes decide how many there are.
pub(super) fn skip(decoder: &mut Decoder<'_>, depth: usize) -> Result<(), CborError> {
    let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
    match decoder.datatype()? {
        Type::Array | Type::ArrayIndef => {
            let count = decoder.array()?;
            skip_values(decoder, count, depth)
        }
        Type::Map | Type::MapIndef => {
            let count = decoder.map()?;
            let mut seen = 0;
            while has_more(decoder, count, seen)? {
                skip(decoder, depth)?;
                skip(decoder, depth)?;
                seen += 1;
            }
            Ok(())
        }
        Type::Tag => {
            decoder.tag()?;
            skip(decoder, depth)
        }
        // the pieces are bytes or text of a known length
        Type::BytesIndef => decoder.bytes_iter()?.try_for_each(|piece| piece.map(drop)).map_err(CborError::from),
        Type::StringIndef => decoder.str_iter()?.try_for_each(|piece| piece.map(drop)).map_err(CborError::from),
        Type::Break => Err(CborError::Unsupported("a break code that ends nothing")),
        // everything else has no levels
        _ => Ok(decoder.skip()?),
    }
}

fn skip_values(decoder: &mut Decoder<'_>, count: Option<u64>, depth: usize) -> Result<(), CborError> {
    let mut seen = 0;
    while has_more(decoder, count, seen)? {
        skip(decoder, depth)?;
        seen += 1;
    }
    Ok(())
}

/// Whether another element follows. Consumes the break code at the end of an indefinite-length container.
pub(super) fn has_more(from: &mut Decoder<'_>, count: Option<u64>, seen: usize) -> Result<bool, CborError> {
    let Some(count) = count else {
        let is_end = from.datatype()? == Type::Break;
        if is_end {
            from.skip()?;
        }
        return Ok(!is_end);
    };
    Ok((seen as u64) < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many levels as bytes: a stack of them would need sixteen times the memory.
    #[test]
    fn nesting_is_limited_however_it_is_encoded() {
        for level in [&[0x9f][..], &[0x81], &[0xbf, 0x01], &[0xa1, 0x01], &[0xc1], &[0x82, 0x9f]] {
            let bytes = level.repeat(100_000);
            assert!(matches!(check(&bytes), Err(CborError::TooDeep)), "{level:x?}");
            let list = [&[0x81], &bytes[..]].concat();
            let items = array_items(&list).expect("a head").expect("an array");
            assert_eq!(items.filter(Result::is_ok).count(), 0, "{level:x?}");
        }
        for level in [0x5f, 0x7f] {
            assert!(check(&[level; 100_000]).is_err(), "{level:x}: pieces have no pieces");
        }
        let deepest = [vec![0x81; MAX_DEPTH - 1], vec![0x00]].concat();
        assert!(check(&deepest).is_ok());
        assert!(check(&[vec![0x81], deepest].concat()).is_err());
    }

    #[test]
    fn what_is_no_value_is_an_error_and_ends_the_elements() {
        for bytes in [&[][..], &[0x82, 1], &[1, 2], &[0x9f, 1], &[0xff], &[0x5f, 1, 0xff], &[0x1c]] {
            assert!(check(bytes).is_err(), "{bytes:x?}");
        }
        let items: Vec<_> = array_items(&[0x83, 1, 0x1c, 2]).expect("a head").expect("an array").collect();
        assert!(matches!(&items[..], [Ok([1]), Err(_)]), "{items:?}");
        let items: Vec<_> = array_items(&[0x9f, 1, 0x5f, 0x41, 7, 0xff, 0xff]).expect("a head").expect("one").collect();
        assert!(matches!(&items[..], [Ok([1]), Ok([0x5f, 0x41, 7, 0xff])]), "{items:?}");
    }
}
