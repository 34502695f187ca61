//! Randomness and what is made of it: request ids, tokens, handles.
//!
//! Services draw from `Call::random` only, so one seeded source can make a whole run
//! repeat.

use parking_lot::Mutex;

use crate::hex;

/// A source of random bytes. Not for secrets: an emulator has none.
pub(crate) trait Random: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Random + '_ {
    /// A version 4 UUID in its usual form (RFC 9562).
    pub(crate) fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        let value = u128::from_be_bytes(bytes);
        let value = value & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (value >> 96) as u32,
            (value >> 80) as u16,
            (value >> 64) as u16,
            (value >> 48) as u16,
            value & 0xffff_ffff_ffff
        )
    }

    /// `bytes` random bytes in lower-case hexadecimal.
    pub(crate) fn hex(&self, bytes: usize) -> String {
        let mut raw = vec![0; bytes];
        self.fill(&mut raw);
        hex::lower(&raw)
    }

    /// `length` characters of `A-Z0-9`, as AWS uses them in ids that people read.
    pub(crate) fn letters(&self, length: usize) -> String {
        const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let mut raw = vec![0; length];
        self.fill(&mut raw);
        raw.iter()
            .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
            .collect()
    }
}

/// A fast generator seeded by the operating system.
pub(crate) struct SystemRandom(Mutex<fastrand::Rng>);

impl SystemRandom {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(fastrand::Rng::new()))
    }
}

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill(bytes);
    }
}

/// How a service writes its request ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RequestIdStyle {
    /// A UUID: most services.
    #[default]
    Uuid,
    /// 52 letters and digits: DynamoDB.
    Letters52,
    /// 16 letters and digits, with `x-amz-id-2` beside: S3.
    Letters16,
}

impl RequestIdStyle {
    /// A new id in this style.
    pub(crate) fn make(self, random: &dyn Random) -> String {
        match self {
            RequestIdStyle::Uuid => random.uuid(),
            RequestIdStyle::Letters52 => random.letters(52),
            RequestIdStyle::Letters16 => random.letters(16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the same byte for ever.
    struct Constant(u8);

    impl Random for Constant {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn uuids_carry_version_and_variant() {
        let check = |byte, expected: &str| {
            assert_eq!((&Constant(byte) as &dyn Random).uuid(), expected);
        };
        check(0x00, "00000000-0000-4000-8000-000000000000");
        check(0xff, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn two_draws_differ() {
        let random: &dyn Random = &SystemRandom::new();
        assert_ne!(random.uuid(), random.uuid());
        assert_eq!(random.letters(52).len(), 52);
        assert_eq!(random.hex(4).len(), 8);
    }
}
