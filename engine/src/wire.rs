//! What a transaction's record holds: frozen.
//!
//! ```text
//! payload  = header effect*                 each a MessagePack array, one behind the other
//! header   = [time_ms, request, operation, effect count]
//! effect   = [1, space, key, value]         put
//!          | [2, space, key]                delete
//!          | [3, space, prefix]             delete every key with the prefix
//!          | [4]                            delete everything in every key space
//! ```
//!
//! Effects are final values, never requests, so replay needs no service code and gives the same state for ever. Nothing
//! here is ever changed: a new effect gets a new number, and a segment that holds one an incompatible feature bit. An
//! unknown number is an error, since skipping it would give another state.

use crate::txn::Label;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::{SerializeTuple, Serializer};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;
use std::fmt;
use std::io;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_PREFIX: u8 = 3;
const CLEAR: u8 = 4;

/// One change, borrowing from the payload it is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect<'a> {
    Put {
        space: u32,
        key: &'a [u8],
        value: &'a [u8],
    },
    Delete {
        space: u32,
        key: &'a [u8],
    },
    DeletePrefix {
        space: u32,
        prefix: &'a [u8],
    },
    Clear,
}

impl Effect<'_> {
    /// The most that it takes when encoded.
    pub(crate) fn bytes_max(&self) -> usize {
        const AROUND: usize = 18;
        AROUND
            + match self {
                Effect::Put { key, value, .. } => key.len() + value.len(),
                Effect::Delete { key, .. } => key.len(),
                Effect::DeletePrefix { prefix, .. } => prefix.len(),
                Effect::Clear => 0,
            }
    }
}

impl Serialize for Effect<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Effect::Put { space, key, value } => {
                (PUT, space, Bytes::new(key), Bytes::new(value)).serialize(serializer)
            }
            Effect::Delete { space, key } => (DELETE, space, Bytes::new(key)).serialize(serializer),
            Effect::DeletePrefix { space, prefix } => {
                (DELETE_PREFIX, space, Bytes::new(prefix)).serialize(serializer)
            }
            Effect::Clear => {
                let mut row = serializer.serialize_tuple(1)?;
                row.serialize_element(&CLEAR)?;
                row.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Effect<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = Effect<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an effect")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<Effect<'de>, A::Error> {
                Ok(match element(&mut row)? {
                    PUT => Effect::Put {
                        space: element(&mut row)?,
                        key: bytes(&mut row)?,
                        value: bytes(&mut row)?,
                    },
                    DELETE => Effect::Delete {
                        space: element(&mut row)?,
                        key: bytes(&mut row)?,
                    },
                    DELETE_PREFIX => Effect::DeletePrefix {
                        space: element(&mut row)?,
                        prefix: bytes(&mut row)?,
                    },
                    CLEAR => Effect::Clear,
                    unknown => return Err(de::Error::custom(format!("unknown effect {unknown}"))),
                })
            }
        }
        deserializer.deserialize_seq(Row)
    }
}

fn element<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(row: &mut A) -> Result<T, A::Error> {
    row.next_element()?
        .ok_or_else(|| de::Error::custom("an effect is too short"))
}

fn bytes<'de, A: SeqAccess<'de>>(row: &mut A) -> Result<&'de [u8], A::Error> {
    element::<&'de Bytes, A>(row).map(|bytes| &bytes[..])
}

/// Appends one effect.
pub(crate) fn encode_effect(effect: Effect<'_>, out: &mut Vec<u8>) {
    rmp_serde::encode::write(out, &effect).expect("memory takes all bytes");
}

/// Appends a payload whose effects are encoded already.
pub(crate) fn encode(label: Option<&Label>, effect_count: u32, effects: &[u8], out: &mut Vec<u8>) {
    let (time_ms, request, operation) = label.map_or((0, "", ""), |label| {
        (
            label.time_ms,
            label.request.as_str(),
            label.operation.as_str(),
        )
    });
    let header = (time_ms, request, operation, effect_count);
    rmp_serde::encode::write(out, &header).expect("memory takes all bytes");
    out.extend_from_slice(effects);
}

/// Reads a payload: its label, then `each` effect in order.
pub(crate) fn decode<'a>(
    payload: &'a [u8],
    mut each: impl FnMut(Effect<'a>),
) -> Result<Label, rmp_serde::decode::Error> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(payload);
    let (time_ms, request, operation, count): (i64, &str, &str, u32) =
        Deserialize::deserialize(&mut reader)?;
    let label = Label {
        time_ms,
        request: request.into(),
        operation: operation.into(),
    };
    for _ in 0..count {
        each(Effect::deserialize(&mut reader)?);
    }
    match Marker::deserialize(&mut reader) {
        Err(error) if is_end(&error) => Ok(label),
        _ => Err(de::Error::custom("bytes after the last effect")),
    }
}

type Marker = de::IgnoredAny;

fn is_end(error: &rmp_serde::decode::Error) -> bool {
    use rmp_serde::decode::Error;
    matches!(error, Error::InvalidMarkerRead(source) if source.kind() == io::ErrorKind::UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EFFECTS: [Effect<'static>; 4] = [
        Effect::Put {
            space: 0x301,
            key: b"key",
            value: b"value",
        },
        Effect::Delete { space: 1, key: b"" },
        Effect::DeletePrefix {
            space: 70_000,
            prefix: b"\0",
        },
        Effect::Clear,
    ];

    fn payload() -> Vec<u8> {
        let label = Label {
            time_ms: 5,
            request: "r".into(),
            operation: "sqs:SendMessage".into(),
        };
        let (mut effects, mut payload) = (Vec::new(), Vec::new());
        EFFECTS
            .into_iter()
            .for_each(|effect| encode_effect(effect, &mut effects));
        encode(Some(&label), 4, &effects, &mut payload);
        payload
    }

    fn decoded(payload: &[u8]) -> Result<(Label, Vec<Effect<'_>>), String> {
        let mut effects = Vec::new();
        let label =
            decode(payload, |effect| effects.push(effect)).map_err(|error| error.to_string())?;
        Ok((label, effects))
    }

    #[test]
    fn a_payload_comes_back_as_it_was() {
        let payload = payload();
        let (label, effects) = decoded(&payload).expect("it was just encoded");
        assert_eq!(
            (label.time_ms, label.operation.as_str()),
            (5, "sqs:SendMessage")
        );
        assert_eq!(effects, EFFECTS);
    }

    #[test]
    fn bytes_on_disk_are_pinned() {
        let hex: String = payload().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "9405a172af7371733a53656e644d657373616765049401cd0301c4036b6579c40576616c7565930201c4009303ce00011170c401009104"
        );
    }

    #[test]
    fn what_is_unknown_missing_or_left_over_is_an_error() {
        let check = |count: u32, effects: &[u8], expected: &str| {
            let mut payload = Vec::new();
            encode(None, count, effects, &mut payload);
            let error = decoded(&payload).expect_err("it doesn't decode");
            assert!(error.contains(expected), "{error}");
        };
        check(1, &[0x91, 9], "unknown effect 9");
        check(1, &[0x91, PUT], "too short");
        check(1, &[0x92, CLEAR, 0], "");
        check(2, &[0x91, CLEAR], "");
        check(0, &[0x91, CLEAR], "after the last effect");
        check(0, &[0xC1], "after the last effect");
    }

    #[test]
    fn truncated_payloads_are_errors() {
        let payload = payload();
        for end in 0..payload.len() {
            assert!(decoded(&payload[..end]).is_err(), "{end}");
        }
    }
}
