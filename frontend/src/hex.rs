//! Bytes in lower-case hexadecimal, as digests, entity tags and ids are written.

/// Two digits a byte.
pub(crate) fn lower(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 0xf)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::lower;

    #[test]
    fn every_byte_has_two_digits() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(lower(bytes), expected);
        check(&[], "");
        check(&[0x00, 0x0a, 0xa0, 0xff], "000aa0ff");
    }
}
