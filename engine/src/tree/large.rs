//! What is too large for a page: bytes of their own, which pages share.

use triomphe::ThinArc;

/// The value of an entry, and its key if that is large, too.
#[derive(Clone, Debug)]
pub struct Large(ThinArc<u32, u8>);

/// What one takes besides its bytes: count, length, header, and the allocator's word.
pub(super) const LARGE_OVERHEAD: usize = 32;

impl Large {
    pub(super) fn new(key: &[u8], value: &[u8]) -> Large {
        let key_bytes = u32::try_from(key.len()).expect("a transaction is bounded far below 4 GiB");
        if key.is_empty() {
            return Large(ThinArc::from_header_and_slice(0, value));
        }
        Large(ThinArc::from_header_and_slice(
            key_bytes,
            &[key, value].concat(),
        ))
    }

    pub(super) fn pair(&self) -> (&[u8], &[u8]) {
        self.0.slice.split_at(self.0.header.header as usize)
    }

    pub fn value(&self) -> &[u8] {
        self.pair().1
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.slice.len()
    }
}
