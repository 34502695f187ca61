//! The rows that S3 keeps. A format on disk: append fields with a default, never reorder or remove.

use super::body::Piece;
use crate::checksum::{Algorithm, Checksum};
use crate::jobs::Jobs;
use crate::tables::TableVisitor;
use cumulog_engine::{Space, Table};
use cumulog_model::s3::ChecksumType;
use cumulog_shape::Timestamp;
use serde::{Deserialize, Serialize};

/// Buckets by name. Names are global: the account stands in the row.
pub(super) const BUCKETS: Table<(String,), BucketRow> =
    Table::new(Space::new(0x0101, "s3/buckets"));

/// Objects by bucket and key.
pub(super) const OBJECTS: Table<(String, String), ObjectRow> =
    Table::new(Space::new(0x0102, "s3/objects"));

/// Uploads in parts by bucket, key and upload id; ids ascend with time.
pub(super) const UPLOADS: Table<(String, String, String), UploadRow> =
    Table::new(Space::new(0x0103, "s3/uploads"));

/// Parts by upload id and part number.
pub(super) const PARTS: Table<(String, u32), PartRow> = Table::new(Space::new(0x0104, "s3/parts"));

/// Versions of objects that are not the current one, and delete markers, by bucket, key and descending sequence.
///
/// The current version of a key stands in [`OBJECTS`], so that a bucket lists as fast with versions as without. A key
/// whose newest version is a delete marker has no row there.
pub(super) const VERSIONS: Table<(String, String, u64), VersionRow> =
    Table::new(Space::new(0x0110, "s3/versions"));

/// Where the version `null` of a key stands in [`VERSIONS`], if it does.
pub(super) const NULLS: Table<(String, String), u64> = Table::new(Space::new(0x0111, "s3/nulls"));
/// How far a sweep by lifecycle rules has come, by bucket.
pub(super) const SWEEPS: Table<(String,), SweepRow> = Table::new(Space::new(0x0112, "s3/sweeps"));

/// The least size of objects that rules move, by bucket: in the words of the header that set it.
pub(super) const MOVE_MINIMUMS: Table<(String,), String> =
    Table::new(Space::new(0x0113, "s3/move-minimums"));

/// Work that falls due later.
pub(super) const JOBS: Jobs = Jobs::new(
    Space::new(0x01f0, "s3/jobs"),
    Space::new(0x01f1, "s3/job-times"),
);

/// Configurations by bucket, kind and id; the id is empty where a bucket has one of a kind.
pub(super) const CONFIGURATIONS: Table<(String, String, String), ConfigurationRow> =
    Table::new(Space::new(0x0120, "s3/configurations"));

/// A bucket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct BucketRow {
    pub(super) account: String,
    pub(super) region: String,
    /// As `GetBucketLocation` gives it: empty for us-east-1, `EU` where that was asked for.
    pub(super) location: String,
    pub(super) created_ms: i64,
    /// The canned ACL of its creation; empty for `private`.
    pub(super) acl: String,
    /// Object ownership; empty for the default.
    pub(super) ownership: String,
    pub(super) tags: Vec<(String, String)>,
    #[serde(default)]
    pub(super) versioning: Versioning,
    /// Object lock, if the bucket has it.
    #[serde(default)]
    pub(super) lock: Option<LockRow>,
    /// What its ACL grants, if that is not canned.
    #[serde(default)]
    pub(super) grants: Vec<GrantRow>,
}

/// The default retention of a bucket with object lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LockRow {
    /// Empty: there is none.
    pub(super) mode: String,
    /// One of the two is 0.
    pub(super) days: u32,
    pub(super) years: u32,
}

/// What keeps a version from being deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lock {
    pub(super) retention: Option<Retention>,
    /// A legal hold, if ever there was one.
    pub(super) hold: Option<bool>,
}

/// Until when a version is retained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retention {
    pub(super) mode: String,
    pub(super) until_ms: i64,
}

/// Whether a bucket keeps versions. By name in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Versioning {
    /// It never did.
    #[default]
    Never,
    Enabled,
    /// It keeps those that it has, and writes the version `null`.
    Suspended,
}

/// What a client says of an object beside its bytes: given at PUT, copied by COPY.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Metadata {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) expires: Option<String>,
    /// `x-amz-meta-…`, names in lower case without the prefix.
    pub(super) user: Vec<(String, String)>,
}

/// What an object carries that a copy does not inherit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Traits {
    /// Empty for STANDARD.
    pub(super) storage_class: String,
    pub(super) website_redirect: Option<String>,
    /// The canned ACL; empty for `private`.
    pub(super) acl: String,
    /// What an ACL grants that is not canned.
    #[serde(default)]
    pub(super) grants: Vec<GrantRow>,
    /// `None`: by keys of S3.
    #[serde(default)]
    pub(super) encryption: Option<EncryptionRow>,
}

/// A grant of an ACL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GrantRow {
    /// `CanonicalUser` or `Group`.
    pub(super) kind: String,
    /// A canonical id or a URI.
    pub(super) grantee: String,
    pub(super) permission: String,
}

/// The encryption that an object is said to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EncryptionRow {
    /// `aws:kms` or `aws:kms:dsse`; empty with a client's key.
    pub(super) algorithm: String,
    /// The ARN of a key of KMS.
    pub(super) key: String,
    /// Base64, as it came.
    pub(super) context: String,
    pub(super) bucket_key: bool,
    /// The MD5 of the client's key, in base64.
    pub(super) customer_md5: String,
}

/// An object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObjectRow {
    pub(super) modified_ms: i64,
    pub(super) bytes: u64,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) body: Vec<Piece>,
    pub(super) metadata: Metadata,
    pub(super) traits: Traits,
    pub(super) tags: Vec<(String, String)>,
    pub(super) checksum: Option<ChecksumRow>,
    /// The parts of a multipart upload, in order; empty for an object that came whole.
    pub(super) parts: Vec<ObjectPart>,
    /// The upload that was completed to this object; empty for an object that came whole.
    pub(super) upload: String,
    /// The version's id; empty for `null`.
    #[serde(default)]
    pub(super) version: String,
    /// Its place among the versions of its key, ascending; 0 if its bucket kept none when it came.
    #[serde(default)]
    pub(super) sequence: u64,
    #[serde(default)]
    pub(super) lock: Lock,
    /// The restored copy of an archived object.
    #[serde(default)]
    pub(super) restore: Option<RestoreRow>,
}

/// A restored copy of an archived object: from when and until when it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RestoreRow {
    pub(super) ready_ms: i64,
    pub(super) expires_ms: i64,
}

/// Behind which version, or which upload, a sweep goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SweepRow {
    /// Empty: it has not begun.
    pub(super) key: String,
    pub(super) sequence: u64,
    /// The time of that version.
    pub(super) modified_ms: i64,
    /// How many versions of the key, up to that one, are not current.
    pub(super) noncurrent: u32,
    /// It is through with the versions.
    pub(super) uploads: bool,
    pub(super) upload: String,
}

/// A version that is not the current one, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VersionRow {
    /// As [`ObjectRow::version`].
    pub(super) version: String,
    pub(super) modified_ms: i64,
    /// `None`: a delete marker.
    pub(super) object: Option<ObjectRow>,
}

/// A part of an object, as it can be asked for by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObjectPart {
    pub(super) number: u32,
    pub(super) bytes: u64,
    /// Base64; only where the upload asked for composite checksums.
    pub(super) checksum: Option<String>,
}

/// A checksum of stored bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChecksumRow {
    /// By name, as in `x-amz-sdk-checksum-algorithm`.
    pub(super) algorithm: String,
    /// Base64; a composite one ends in `-` and the number of parts.
    pub(super) value: String,
    /// Made of the parts' checksums, not of the bytes.
    pub(super) composite: bool,
}

impl ChecksumRow {
    /// Of whole bytes.
    pub(super) fn whole(checksum: &Checksum) -> ChecksumRow {
        ChecksumRow {
            algorithm: checksum.algorithm().name().to_owned(),
            value: checksum.base64(),
            composite: false,
        }
    }

    /// Of what it is the checksum.
    pub(super) fn shown_type(&self) -> ChecksumType {
        if self.composite {
            ChecksumType::Composite
        } else {
            ChecksumType::FullObject
        }
    }

    /// The algorithm, if it is one that we know.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::from_name(&self.algorithm)
    }
}

/// An upload in parts, under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UploadRow {
    pub(super) initiated_ms: i64,
    pub(super) account: String,
    pub(super) metadata: Metadata,
    pub(super) traits: Traits,
    pub(super) tags: Vec<(String, String)>,
    /// The algorithm that the client asked for; empty if it left that to us.
    pub(super) algorithm: String,
    /// Whether the parts' checksums are to be combined into a composite one.
    pub(super) composite: bool,
    /// The object of this key was deleted since: a conditional completion must be refused.
    pub(super) overtaken: bool,
    #[serde(default)]
    pub(super) lock: Lock,
}

/// An uploaded part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PartRow {
    pub(super) modified_ms: i64,
    pub(super) bytes: u64,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) body: Vec<Piece>,
    /// What the upload's algorithm gives, or our default's.
    pub(super) checksum: Option<ChecksumRow>,
}

/// A configuration of a bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ConfigurationRow {
    /// JSON under the names of S3's model.
    #[serde(with = "serde_bytes")]
    pub(super) document: Vec<u8>,
}

impl ObjectRow {
    /// The entity tag as headers carry it.
    pub(super) fn quoted_etag(&self) -> String {
        quoted(&self.etag)
    }

    /// The storage class by name.
    pub(super) fn storage_class(&self) -> &str {
        self.traits.storage_class()
    }
}

impl Traits {
    /// The storage class by name.
    pub(super) fn storage_class(&self) -> &str {
        match self.storage_class.as_str() {
            "" => "STANDARD",
            class => class,
        }
    }
}

/// An entity tag as headers carry it.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// A time as S3 shows it: in whole seconds, whatever the format has room for.
pub(super) fn shown_time(ms: i64) -> Timestamp {
    Timestamp::from_seconds(Timestamp(ms).seconds())
}

/// Shows every table.
pub(crate) fn each_table(visitor: &impl TableVisitor) {
    visitor.on(BUCKETS);
    visitor.on(OBJECTS);
    visitor.on(UPLOADS);
    visitor.on(PARTS);
    visitor.on(VERSIONS);
    visitor.on(NULLS);
    visitor.on(SWEEPS);
    visitor.on(MOVE_MINIMUMS);
    JOBS.each_table(visitor);
    visitor.on(CONFIGURATIONS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use cumulog_engine::{Key, Options, Read, Row, Store};

    /// What a row is on disk, in hexadecimal: key, colon, value.
    fn stored<K: Key, V: Row>(table: Table<K, V>, key: K, row: V) -> String {
        let store = Store::ephemeral(Options::default());
        let put = store.commit(|txn| {
            table.put(txn, &key, &row);
            Ok::<_, ()>(())
        });
        put.wait()
            .expect("memory does not fail")
            .expect("it is put");
        let view = store.view();
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let mut encoded = Vec::new();
        key.encode(&mut encoded);
        let value = view.get(table.space(), &encoded).expect("it was put");
        format!("{}:{}", hex(&encoded), hex(value))
    }

    /// The row that such bytes stand for.
    fn read<K: Key, V: Row>(table: Table<K, V>, value: &str) -> V {
        let bytes: Vec<u8> = (0..value.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&value[at..at + 2], 16).expect("it is hexadecimal"))
            .collect();
        let store = Store::ephemeral(Options::default());
        let put = store.commit(|txn| {
            txn.put(table.space(), b"\x62\x00\x01\x6b\x00\x01", &bytes);
            Ok::<_, ()>(())
        });
        put.wait()
            .expect("memory does not fail")
            .expect("it is put");
        let (_, row) = (table.scan(&store.view(), &()).next())
            .expect("it was put")
            .expect("it decodes");
        row
    }

    /// What 0.1.0 wrote, without the members that came later.
    #[test]
    fn rows_of_earlier_programs_are_read() {
        let object: ObjectRow = read(
            OBJECTS,
            "9a0102a1659097a3612f62c0c0c0c0c09192a16da13193a7474c4143494552c0a09192a174a17693a54352433332a163c391930102c0a175",
        );
        assert_eq!(
            (
                object.upload.as_str(),
                object.version.as_str(),
                object.sequence
            ),
            ("u", "", 0)
        );
    }

    /// Data directories live longer than programs: whoever changes a row must see that old ones are still read.
    #[test]
    fn rows_are_on_disk_as_they_always_were() {
        let metadata = Metadata {
            content_type: Some("a/b".into()),
            user: vec![("m".into(), "1".into())],
            ..Default::default()
        };
        let object = ObjectRow {
            modified_ms: 1,
            bytes: 2,
            etag: "e".into(),
            body: Vec::new(),
            metadata: metadata.clone(),
            traits: Traits {
                storage_class: "GLACIER".into(),
                grants: vec![GrantRow {
                    kind: "g".into(),
                    grantee: "u".into(),
                    permission: "p".into(),
                }],
                encryption: Some(EncryptionRow {
                    algorithm: "a".into(),
                    key: "k".into(),
                    context: "c".into(),
                    bucket_key: true,
                    customer_md5: "m".into(),
                }),
                ..Default::default()
            },
            tags: vec![("t".into(), "v".into())],
            checksum: Some(ChecksumRow {
                algorithm: "CRC32".into(),
                value: "c".into(),
                composite: true,
            }),
            parts: vec![ObjectPart {
                number: 1,
                bytes: 2,
                checksum: None,
            }],
            upload: "u".into(),
            version: "v".into(),
            sequence: 8,
            lock: Lock {
                retention: Some(Retention {
                    mode: "m".into(),
                    until_ms: 9,
                }),
                hold: Some(true),
            },
            restore: Some(RestoreRow {
                ready_ms: 1,
                expires_ms: 2,
            }),
        };
        let version = VersionRow {
            version: "v".into(),
            modified_ms: 9,
            object: None,
        };
        let bucket = BucketRow {
            account: "1".into(),
            region: "r".into(),
            location: "l".into(),
            created_ms: 3,
            acl: "a".into(),
            ownership: "o".into(),
            tags: Vec::new(),
            versioning: Versioning::Enabled,
            lock: Some(LockRow {
                mode: "m".into(),
                days: 1,
                years: 0,
            }),
            grants: Vec::new(),
        };
        let upload = UploadRow {
            initiated_ms: 4,
            account: "1".into(),
            metadata,
            traits: Traits::default(),
            tags: Vec::new(),
            algorithm: "CRC32".into(),
            composite: false,
            overtaken: true,
            lock: Lock::default(),
        };
        let part = PartRow {
            modified_ms: 5,
            bytes: 6,
            etag: "e".into(),
            body: Vec::new(),
            checksum: None,
        };
        let key = |text: &str| text.to_owned();
        assert_eq!(
            stored(BUCKETS, (key("b"),), bucket),
            "620001:9aa131a172a16c03a161a16f90a7456e61626c656493a16d010090"
        );
        assert_eq!(
            stored(OBJECTS, (key("b"), key("k")), object),
            "6200016b0001:9e0102a1659097a3612f62c0c0c0c0c09192a16da13195a7474c4143494552c0a09193a167a175a17095a161a16ba163c3a16d9192a174a17693a54352433332a163c391930102c0a175a176089292a16d09c3920102"
        );
        assert_eq!(
            stored(VERSIONS, (key("b"), key("k"), 7), version),
            "6200016b00010000000000000007:93a17609c0"
        );
        let sweep = SweepRow {
            key: "k".into(),
            sequence: 1,
            modified_ms: 2,
            noncurrent: 3,
            uploads: true,
            upload: "u".into(),
        };
        assert_eq!(
            stored(SWEEPS, (key("b"),), sweep),
            "620001:96a16b010203c3a175"
        );
        assert_eq!(
            stored(UPLOADS, (key("b"), key("k"), key("u")), upload),
            "6200016b0001750001:9904a13197a3612f62c0c0c0c0c09192a16da13195a0c0a090c090a54352433332c2c392c0c0"
        );
        assert_eq!(
            stored(PARTS, (key("u"), 7), part),
            "75000100000007:950506a16590c0"
        );
        let configuration = ConfigurationRow {
            document: b"{}".to_vec(),
        };
        assert_eq!(
            stored(CONFIGURATIONS, (key("b"), key("k"), key("")), configuration),
            "6200016b00010001:91c4027b7d"
        );
    }
}
