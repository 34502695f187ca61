//! Receipt handles: which message, and which receive of it.
//!
//! A handle is made of stored values only, so a restart changes nothing about it. It names the receive by its number:
//! the next receive of the same message makes it stale.
//!
//! ```text
//! 0..3   01 01 01: in base64 `AQEB`, as AWS's handles start
//! 3..11  queue id, big-endian
//! 11..19 message number in the queue
//! 19..27 receipt: the how-manieth receive of the message
//! 27..31 CRC-32 of all that precedes
//! ```
//!
//! The checksum guards against mangled text, not against forgery.

use super::error::SqsError;
use base64_simd::STANDARD;
use std::fmt;
use std::str::FromStr;

const PREFIX: [u8; 3] = [1, 1, 1];
const BYTES: usize = 31;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceiptHandle {
    pub(crate) queue: u64,
    pub(crate) message: u64,
    pub(crate) receipt: u64,
}

impl fmt::Display for ReceiptHandle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&PREFIX);
        for part in [self.queue, self.message, self.receipt] {
            bytes.extend_from_slice(&part.to_be_bytes());
        }
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        out.write_str(&STANDARD.encode_to_string(bytes))
    }
}

impl FromStr for ReceiptHandle {
    type Err = SqsError;

    fn from_str(text: &str) -> Result<Self, SqsError> {
        decode(text).ok_or_else(|| SqsError::ReceiptHandleIsInvalid(text.to_owned()))
    }
}

fn decode(text: &str) -> Option<ReceiptHandle> {
    let bytes: [u8; BYTES] = STANDARD.decode_to_vec(text).ok()?.try_into().ok()?;
    let (covered, checksum) = bytes.split_last_chunk::<4>()?;
    let (prefix, parts) = covered.split_first_chunk::<3>()?;
    if *prefix != PREFIX || crc32fast::hash(covered) != u32::from_be_bytes(*checksum) {
        return None;
    }
    let (parts, _) = parts.as_chunks::<8>();
    let [queue, message, receipt] = *parts else {
        return None;
    };
    Some(ReceiptHandle {
        queue: u64::from_be_bytes(queue),
        message: u64::from_be_bytes(message),
        receipt: u64::from_be_bytes(receipt),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_as_it_was_written() {
        let handle = ReceiptHandle {
            queue: 7,
            message: u64::MAX,
            receipt: 3,
        };
        let text = handle.to_string();
        assert!(text.starts_with("AQEB"), "{text}");
        assert_eq!(text.parse::<ReceiptHandle>().expect("is a handle"), handle);
    }

    #[test]
    fn mangled_handles_are_refused_by_name() {
        let good = ReceiptHandle {
            queue: 7,
            message: 8,
            receipt: 3,
        }
        .to_string();
        let longer = format!("{good}AAAA");
        let damaged = good.replacen("AQEBAAAA", "AQEBAAAB", 1);
        for text in ["", "garbage", &good[1..], &longer, &damaged] {
            let error = text.parse::<ReceiptHandle>().expect_err(text);
            assert_eq!(
                error.to_string(),
                format!("The input receipt handle \"{text}\" is not a valid receipt handle.")
            );
        }
    }
}
