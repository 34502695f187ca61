//! The records that receivers read: JSON, in AWS's order.

use super::Change;
use crate::call::Call;
use crate::services::s3::names::{canonical_id, url_encoded};
use crate::services::s3::rows::{BucketRow, Versioning};
use crate::services::s3::versions;
use cumulog_shape::{Timestamp, TimestampFormat};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

/// The entity tag of nothing, which delete markers have.
const EMPTY_ETAG: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// The number that the last sequencer was made of.
#[derive(Default)]
struct Last(Mutex<u64>);

/// Orders the events of one key: texts of one length that ascend.
///
/// By the time, which goes on after a restart; within a millisecond by counting. Transactions come one after another, so
/// the order is that of the changes.
fn sequencer(call: &Call) -> String {
    let now = u64::try_from(call.clock().now().0).unwrap_or_default() << 16;
    let state = call.state::<Last>();
    let mut last = state.0.lock();
    *last = now.max(*last + 1);
    format!("{:018X}", *last)
}

/// A time in milliseconds, however round it is.
pub(super) fn shown_time(time: Timestamp) -> String {
    let text = time.format(TimestampFormat::Iso8601);
    match text.contains('.') {
        true => text,
        false => text.replace('Z', ".000Z"),
    }
}

/// The message about a change, for the configuration called `id`.
pub(super) fn body(
    call: &Call,
    (bucket, row): (&str, &BucketRow),
    id: &str,
    change: &Change<'_>,
) -> String {
    let later =
        !change.event.starts_with("ObjectCreated:") && !change.event.starts_with("ObjectRemoved:");
    let principal = match call.is_anonymous {
        true => "Anonymous".to_owned(),
        false => format!("AWS:{}", call.account),
    };
    let peer = call
        .peer
        .map_or("127.0.0.1".to_owned(), |peer| peer.to_string());
    let record = json!({
        "eventVersion": if later { "2.3" } else { "2.1" },
        "eventSource": "aws:s3",
        "awsRegion": row.region,
        "eventTime": shown_time(call.clock().now()),
        "eventName": change.event,
        "userIdentity": { "principalId": principal },
        "requestParameters": { "sourceIPAddress": peer },
        "responseElements": {
            "x-amz-request-id": &*call.request_id,
            "x-amz-id-2": call.host_id.as_deref().unwrap_or_default(),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": id,
            "bucket": {
                "name": bucket,
                "ownerIdentity": { "principalId": owner(&row.account) },
                "arn": format!("arn:aws:s3:::{bucket}"),
            },
            "object": object(call, row, change),
        },
    });
    json!({ "Records": [record] }).to_string()
}

/// An id as those of owners look here: always the same for an account.
fn owner(account: &str) -> String {
    let id = canonical_id(account).to_ascii_uppercase();
    format!("A{}", id.get(..13).unwrap_or_default())
}

fn object(call: &Call, row: &BucketRow, change: &Change<'_>) -> Value {
    let mut object = Map::new();
    object.insert("key".to_owned(), url_encoded(change.key).into());
    let created = change.event.starts_with("ObjectCreated:");
    if let Some(content) = change.object {
        if created || change.event.starts_with("ObjectRestore:") {
            object.insert("size".to_owned(), content.bytes.into());
        }
        object.insert("eTag".to_owned(), content.etag.as_str().into());
    } else if change.event.ends_with("DeleteMarkerCreated") {
        object.insert("eTag".to_owned(), EMPTY_ETAG.into());
    }
    if row.versioning != Versioning::Never {
        object.insert(
            "versionId".to_owned(),
            versions::shown(change.version).into(),
        );
    }
    let removed = ["ObjectRemoved:", "LifecycleExpiration:"];
    if created || removed.iter().any(|start| change.event.starts_with(start)) {
        object.insert("sequencer".to_owned(), sequencer(call).into());
    }
    Value::Object(object)
}
