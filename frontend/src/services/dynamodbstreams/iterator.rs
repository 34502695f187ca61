//! GetShardIterator, and what an iterator says.
//!
//! It says the position itself, so a restart does not end it, and when it was made, so that it expires. Nothing in it is
//! secret; the checksum finds those that are cut or made up.

use base64_simd::STANDARD;
use cumulog_engine::View;
use cumulog_model::dynamodbstreams as model;
use md5::{Digest, Md5};
use model::{GetShardIteratorInput, GetShardIteratorOutput, ShardIteratorType};

use super::describe::open;
use super::error::Error;
use crate::call::Call;
use crate::services::dynamodb::streams::{Sequence, Shard};

/// How long an iterator can be used.
const ITERATOR_MS: i64 = 15 * 60 * 1000;

/// Where to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// At the oldest record that is left.
    Horizon,
    /// At the first record that is not below.
    From(Sequence),
}

/// A place in a shard of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Iterator {
    pub(super) stream_arn: String,
    pub(super) shard: u32,
    pub(super) position: Position,
    pub(super) made_ms: i64,
}

const PAYLOAD_BYTES: usize = 4 + 8 + 8 + 4;

impl Iterator {
    /// As clients see it: the stream's ARN, a version, and the rest.
    pub(super) fn text(&self) -> String {
        let position = match self.position {
            Position::Horizon => 0,
            Position::From(sequence) => sequence.0.max(1),
        };
        let mut payload = Vec::with_capacity(PAYLOAD_BYTES);
        payload.extend_from_slice(&self.shard.to_be_bytes());
        payload.extend_from_slice(&position.to_be_bytes());
        payload.extend_from_slice(&self.made_ms.to_be_bytes());
        payload.extend_from_slice(&checksum(&self.stream_arn, &payload));
        format!(
            "{}|1|{}",
            self.stream_arn,
            STANDARD.encode_to_string(&payload)
        )
    }

    /// What [`text`](Self::text) wrote; `None`: it never did.
    pub(super) fn parse(text: &str) -> Option<Iterator> {
        let (stream_arn, payload) = text.split_once("|1|")?;
        let payload = STANDARD.decode_to_vec(payload).ok()?;
        let payload: [u8; PAYLOAD_BYTES] = payload.try_into().ok()?;
        let (content, sum) = payload.split_at(PAYLOAD_BYTES - 4);
        if checksum(stream_arn, content) != *sum {
            return None;
        }
        let (shard, rest) = content.split_first_chunk()?;
        let (position, rest) = rest.split_first_chunk()?;
        let (made_ms, _) = rest.split_first_chunk()?;
        Some(Iterator {
            stream_arn: stream_arn.to_owned(),
            shard: u32::from_be_bytes(*shard),
            position: match u64::from_be_bytes(*position) {
                0 => Position::Horizon,
                sequence => Position::From(Sequence(sequence)),
            },
            made_ms: i64::from_be_bytes(*made_ms),
        })
    }

    pub(super) fn is_expired(&self, now_ms: i64) -> bool {
        now_ms > self.made_ms + ITERATOR_MS
    }
}

fn checksum(stream_arn: &str, payload: &[u8]) -> [u8; 4] {
    let digest = Md5::new_with_prefix(stream_arn)
        .chain_update(payload)
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Says where to begin to read a shard.
pub(crate) fn get_shard_iterator(
    call: &Call,
    view: &View,
    input: GetShardIteratorInput,
) -> Result<GetShardIteratorOutput, Error> {
    let wanted = wanted(&input)?;
    let stream = open(view, &input.stream_arn)?;
    let mut shards = stream.shards(view)?.into_iter();
    let shard = shards
        .find(|shard| shard.row.id == input.shard_id)
        .ok_or(Error::NoSuchShard)?;
    let horizon = Shard::horizon(call.now.0);
    let position = match wanted {
        Wanted::Horizon => Position::Horizon,
        Wanted::Latest => Position::From(shard.end(view)?),
        Wanted::Time(first) if first < horizon => Position::Horizon,
        Wanted::Time(first) => Position::From(first),
        Wanted::At(sequence) => Position::From(checked(&shard, sequence, horizon)?),
        Wanted::After(sequence) => Position::From(checked(&shard, sequence, horizon)?.next()),
    };
    let iterator = Iterator {
        stream_arn: stream.arn(),
        shard: shard.number,
        position,
        made_ms: call.now.0,
    };
    Ok(GetShardIteratorOutput {
        shard_iterator: Some(iterator.text()),
    })
}

/// A place as it is asked for.
enum Wanted {
    Horizon,
    Latest,
    At(Sequence),
    After(Sequence),
    /// The first record of a time, or after it.
    Time(Sequence),
}

fn wanted(input: &GetShardIteratorInput) -> Result<Wanted, Error> {
    let kind = &input.shard_iterator_type;
    let refuse = |what: &str| {
        let kind = kind.as_str();
        Err(Error::invalid(format!(
            "{what} for ShardIteratorType {kind}"
        )))
    };
    if input.timestamp.is_some() && *kind != ShardIteratorType::AtTimestamp {
        return refuse("Timestamp must not be provided");
    }
    let sequence = input
        .sequence_number
        .as_deref()
        .map(|text| {
            Sequence::parse(text)
                .ok_or_else(|| Error::invalid(format!("Invalid SequenceNumber: {text}")))
        })
        .transpose()?;
    match (kind, sequence) {
        (ShardIteratorType::AtSequenceNumber, Some(sequence)) => Ok(Wanted::At(sequence)),
        (ShardIteratorType::AfterSequenceNumber, Some(sequence)) => Ok(Wanted::After(sequence)),
        (ShardIteratorType::AtSequenceNumber | ShardIteratorType::AfterSequenceNumber, None) => {
            refuse("SequenceNumber must be provided")
        }
        (_, Some(_)) => refuse("SequenceNumber must not be provided"),
        (ShardIteratorType::TrimHorizon, None) => Ok(Wanted::Horizon),
        (ShardIteratorType::Latest, None) => Ok(Wanted::Latest),
        (_, None) => match input.timestamp {
            Some(time) => Ok(Wanted::Time(Sequence::at(time.0))),
            None => refuse("Timestamp must be provided"),
        },
    }
}

/// A sequence that the shard has or had.
fn checked(shard: &Shard, sequence: Sequence, horizon: Sequence) -> Result<Sequence, Error> {
    let row = &shard.row;
    if sequence.0 < row.start || row.end.is_some_and(|end| sequence.0 > end) {
        return Err(Error::invalid(format!(
            "Invalid SequenceNumber: {} is not within shard {}",
            sequence.text(),
            row.id
        )));
    }
    // The number that a shard starts with may be that of no record.
    let is_start = sequence.0 == row.start && row.trimmed == 0;
    if sequence < horizon && !is_start {
        return Err(Error::Trimmed);
    }
    Ok(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iterator_comes_back_as_it_was_and_cut_ones_do_not() {
        for position in [Position::Horizon, Position::From(Sequence(u64::MAX))] {
            let iterator = Iterator {
                stream_arn: "arn:aws:dynamodb:us-east-1:1:table/t|1|/stream/l".replace('|', "_"),
                shard: 7,
                position,
                made_ms: 1_800_000_000_000,
            };
            let text = iterator.text();
            assert_eq!(Iterator::parse(&text), Some(iterator));
            for end in 0..text.len() {
                assert_eq!(Iterator::parse(&text[..end]), None, "{end}");
            }
            assert_eq!(Iterator::parse(&text.replace("table/t", "table/u")), None);
        }
    }
}
