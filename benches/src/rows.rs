//! The rows that are written: small, in random order, and of bytes that do not compress.

/// More than any value needs.
const NOISE_BYTES: usize = 1 << 20;
/// The state that commits overwrite again and again stays below this.
const STATE_BYTES_MAX: usize = 64 << 20;
const KEYS_MAX: usize = 100_000;

/// Rows of one size.
#[derive(Clone, Debug)]
pub struct Rows {
    noise: Vec<u8>,
    value_bytes: usize,
    keys: u64,
}

impl Rows {
    /// Keys repeat as soon as the state is large enough.
    #[must_use]
    pub fn overwriting(value_bytes: usize) -> Self {
        Rows::distinct(
            value_bytes,
            (STATE_BYTES_MAX / value_bytes).min(KEYS_MAX) as u64,
        )
    }

    /// Keys repeat after `keys` rows.
    #[must_use]
    pub fn distinct(value_bytes: usize, keys: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let mut noise = vec![0; NOISE_BYTES + value_bytes];
        random.fill(&mut noise);
        Rows {
            noise,
            value_bytes,
            keys,
        }
    }

    /// The key of the row of this number.
    #[must_use]
    pub fn key(&self, number: u64) -> [u8; 8] {
        // An odd factor: every row gets a key of its own, and neighbours are far apart.
        (number % self.keys)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes()
    }

    /// The value of the row of this number.
    #[must_use]
    pub fn value(&self, number: u64) -> &[u8] {
        let start = number as usize * 8 % NOISE_BYTES;
        &self.noise[start..start + self.value_bytes]
    }

    /// How many different keys there are.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// The bytes of a key and its value.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        size_of::<u64>() + self.value_bytes
    }
}
