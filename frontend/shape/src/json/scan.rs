//! The letters that end a plain run in a JSON string, found eight bytes at a time.

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// Bytes of `text` before the first quote, backslash or control character; all of them if there is none.
pub(super) fn plain_bytes(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let found = special(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = &text[at..];
    at + rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
        .unwrap_or(rest.len())
}

/// High bits of the bytes of `word` that are special. Above the lowest there may be false ones, from its borrow: harmless,
/// as only the lowest counts.
fn special(word: u64) -> u64 {
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    equal(b'"') | equal(b'\\') | below(word, 0x20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_at_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut text = [b'a'; 20];
                text[at] = byte;
                let plain = if matches!(byte, b'"' | b'\\' | 0..0x20) {
                    at
                } else {
                    20
                };
                assert_eq!(plain_bytes(&text), plain, "{byte:#x} at {at}");
            }
        }
        assert_eq!(plain_bytes("é日😀\"".as_bytes()), 9);
    }
}
