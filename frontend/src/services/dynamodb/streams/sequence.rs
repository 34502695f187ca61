//! Sequence numbers: the time in the upper bits, so that the records of a time are a range, and a count in the lower ones,
//! so that no two are equal and none is below an earlier one, whatever the clock does.

/// The place of a record in its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sequence(pub(crate) u64);

const COUNT_BITS: u32 = 20;

/// AWS's numbers have 21 digits at least, and clients may drop zeros that stand before one.
const TEXT_BASE: u128 = 100_000_000_000_000_000_000;

impl Sequence {
    /// The lowest of a time.
    pub(crate) fn at(time_ms: i64) -> Sequence {
        let time_ms = u64::try_from(time_ms).unwrap_or(0);
        Sequence(time_ms.min(u64::MAX >> COUNT_BITS) << COUNT_BITS)
    }

    /// The one after this.
    pub(crate) fn next(self) -> Sequence {
        Sequence(self.0.saturating_add(1))
    }

    /// The time of its record, or one soon before it.
    pub(crate) fn time_ms(self) -> i64 {
        (self.0 >> COUNT_BITS).cast_signed()
    }

    /// As clients see it.
    pub(crate) fn text(self) -> String {
        (TEXT_BASE + u128::from(self.0)).to_string()
    }

    /// What [`text`](Self::text) wrote; `None`: it never did.
    pub(crate) fn parse(text: &str) -> Option<Sequence> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number: u128 = text.parse().ok().filter(|_| is_number)?;
        let sequence = number.checked_sub(TEXT_BASE)?;
        u64::try_from(sequence).ok().map(Sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_sort_as_sequences_and_come_back() {
        let sequences = [0, 1, Sequence::at(1_800_000_000_000).0, u64::MAX].map(Sequence);
        let texts = sequences.map(Sequence::text);
        assert!(texts.is_sorted());
        for (sequence, text) in sequences.iter().zip(&texts) {
            assert_eq!(text.len(), 21, "{text}");
            assert_eq!(Sequence::parse(text), Some(*sequence));
        }
        for text in [
            "",
            "1",
            "-1",
            "+100000000000000000001",
            "999999999999999999999",
        ] {
            assert_eq!(Sequence::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_sequence_tells_its_time() {
        let sequence = Sequence::at(1_800_000_000_123);
        assert_eq!(sequence.next().time_ms(), 1_800_000_000_123);
        assert_eq!(Sequence::at(-5), Sequence(0));
    }
}
