//! Lifecycles over days, by a clock that the test moves.

use super::{midnight_after, next_midnight};
use crate::call::Call;
use crate::failure::Failure;
use crate::jobs::Runner;
use crate::log::{Level, Log};
use crate::service::Service;
use crate::services::s3::{
    buckets, delete, get, list_versions, lock, multipart, put, service, uploads, versioning,
};
use crate::testing::{START_MS, TestWorld};
use cumulog_engine::Txn;
use cumulog_model::s3 as model;
use cumulog_model::s3::{
    BucketVersioningStatus, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, NoncurrentVersionExpiration, StorageClass, Transition,
    TransitionStorageClass,
};
use cumulog_shape::{ByteStream, Timestamp};
use std::sync::LazyLock;

const BUCKET: &str = "bucket";
const DAY_MS: i64 = super::DAY_MS;

static SERVICES: LazyLock<Vec<Service>> = LazyLock::new(|| vec![service()]);

struct Bench {
    world: TestWorld,
    log: Log,
}

impl Bench {
    fn new(versioned: bool, locked: bool) -> Bench {
        let world = TestWorld::new();
        let log = Log::start(Level::Off, world.world.clock.clone()).expect("it has no thread");
        let bench = Bench { world, log };
        let input = model::CreateBucketInput {
            bucket: BUCKET.into(),
            object_lock_enabled_for_bucket: Some(locked),
            ..Default::default()
        };
        bench.write(buckets::create_bucket, input);
        if versioned {
            bench.version(BucketVersioningStatus::Enabled);
        }
        bench
    }

    fn version(&self, status: BucketVersioningStatus) {
        let input = model::PutBucketVersioningInput {
            bucket: BUCKET.into(),
            versioning_configuration: model::VersioningConfiguration {
                status: Some(status),
                ..Default::default()
            },
            ..Default::default()
        };
        self.write(versioning::put_bucket_versioning, input);
    }

    fn call(&self) -> Call {
        self.world.call("s3")
    }

    fn write<I, O, E: Into<Failure>>(
        &self,
        handler: fn(&Call, &mut Txn, I) -> Result<O, E>,
        input: I,
    ) -> O {
        let call = self.call();
        let committed = call.store().commit(|txn| handler(&call, txn, input));
        committed
            .wait()
            .expect("memory does not fail")
            .map_err(Into::into)
            .unwrap_or_else(|failure| panic!("{failure}"))
    }

    async fn put(&self, key: &str, bytes: usize, tagging: Option<&str>) -> model::PutObjectOutput {
        let input = model::PutObjectInput {
            bucket: BUCKET.into(),
            key: key.into(),
            body: ByteStream::from(vec![7; bytes]),
            tagging: tagging.map(str::to_owned),
            ..Default::default()
        };
        put::put_object(self.call(), input)
            .await
            .expect("it is put")
    }

    fn delete(&self, key: &str) {
        let input = model::DeleteObjectInput {
            bucket: BUCKET.into(),
            key: key.into(),
            ..Default::default()
        };
        self.write(delete::delete_object, input);
    }

    async fn rules(&self, rules: Vec<LifecycleRule>) {
        let input = model::PutBucketLifecycleConfigurationInput {
            bucket: BUCKET.into(),
            lifecycle_configuration: Some(model::BucketLifecycleConfiguration { rules }),
            ..Default::default()
        };
        self.write(super::put_bucket_lifecycle, input);
        self.run().await;
    }

    /// Lets days pass, in steps as short as the clock's jobs need.
    async fn days(&self, days: i64) {
        self.world.pass_ms(days * DAY_MS);
        self.run().await;
    }

    async fn run(&self) {
        let runner = Runner {
            services: &SERVICES,
            world: &self.world.world,
            log: &self.log,
        };
        runner.run_due().await;
    }

    /// What there is: keys, newest versions first; `-` is a delete marker, another storage class is named.
    fn versions(&self) -> String {
        let input = model::ListObjectVersionsInput {
            bucket: BUCKET.into(),
            ..Default::default()
        };
        let call = self.call();
        let listed = list_versions::list_object_versions(&call, &call.view(), input)
            .map_err(Failure::from)
            .expect("it lists");
        let mut entries: Vec<(String, i64, String)> = Vec::new();
        for (at, version) in listed.versions.into_iter().flatten().enumerate() {
            let class = match version.storage_class {
                Some(model::ObjectVersionStorageClass::Standard) => String::new(),
                other => other
                    .map(|class| format!(":{}", class.as_str()))
                    .unwrap_or_default(),
            };
            let key = version.key.expect("it has one");
            let latest = version.is_latest == Some(true);
            let at = if latest { -1 } else { at as i64 };
            entries.push((key.clone(), at, format!("{key}{class}")));
        }
        for marker in listed.delete_markers.into_iter().flatten() {
            let key = marker.key.expect("it has one");
            let at = if marker.is_latest == Some(true) {
                -2
            } else {
                1000
            };
            entries.push((key.clone(), at, format!("-{key}")));
        }
        entries.sort();
        let shown = entries.into_iter().map(|(_, _, shown)| shown);
        shown.collect::<Vec<_>>().join(" ")
    }

    async fn header(&self, key: &str) -> Option<String> {
        let input = model::GetObjectInput {
            bucket: BUCKET.into(),
            key: key.into(),
            ..Default::default()
        };
        let found = get::get_object(self.call(), input).await;
        found.ok().and_then(|found| found.expiration)
    }
}

fn rule(id: &str, filter: LifecycleRuleFilter) -> LifecycleRule {
    LifecycleRule {
        id: Some(id.to_owned()),
        status: ExpirationStatus::Enabled,
        filter: Some(filter),
        ..Default::default()
    }
}

fn prefix(prefix: &str) -> LifecycleRuleFilter {
    LifecycleRuleFilter {
        prefix: Some(prefix.to_owned()),
        ..Default::default()
    }
}

fn after(days: i32) -> Option<LifecycleExpiration> {
    Some(LifecycleExpiration {
        days: Some(days),
        ..Default::default()
    })
}

#[tokio::test]
async fn objects_expire_at_the_midnight_after_their_days() {
    let bench = Bench::new(false, false);
    bench.put("log/1", 1, None).await;
    bench.put("other", 1, None).await;
    bench
        .rules(vec![LifecycleRule {
            expiration: after(3),
            ..rule("three days", prefix("log/"))
        }])
        .await;
    let due = midnight_after(Timestamp(START_MS), 3);
    let expected = format!(
        "expiry-date=\"{}\", rule-id=\"three+days\"",
        due.format(cumulog_shape::TimestampFormat::HttpDate)
    );
    assert_eq!(bench.header("log/1").await, Some(expected.clone()));
    assert_eq!(bench.put("log/2", 1, None).await.expiration, Some(expected));
    assert_eq!(bench.header("other").await, None);
    bench.days(3).await;
    assert_eq!(bench.versions(), "log/1 log/2 other");
    bench.world.pass_ms(due.0 - START_MS - 3 * DAY_MS - 1);
    bench.run().await;
    assert_eq!(bench.versions(), "log/1 log/2 other");
    bench.world.pass_ms(1);
    bench.run().await;
    assert_eq!(bench.versions(), "other");
    bench.put("log/3", 1, None).await;
    bench.days(4).await;
    assert_eq!(bench.versions(), "other");
}

#[tokio::test]
async fn filters_choose_by_tags_and_sizes() {
    let bench = Bench::new(false, false);
    bench.put("tagged", 5, Some("a=1&b=2")).await;
    bench.put("half", 5, Some("a=1")).await;
    bench.put("large", 50, None).await;
    bench.put("small", 5, None).await;
    let tag = |key: &str, value: &str| model::Tag {
        key: key.into(),
        value: value.into(),
    };
    let both = LifecycleRuleFilter {
        and: Some(model::LifecycleRuleAndOperator {
            prefix: Some("t".into()),
            tags: Some(vec![tag("a", "1"), tag("b", "2")]),
            ..Default::default()
        }),
        ..Default::default()
    };
    let large = LifecycleRuleFilter {
        object_size_greater_than: Some(5),
        ..Default::default()
    };
    bench
        .rules(vec![
            LifecycleRule {
                expiration: after(1),
                ..rule("both", both)
            },
            LifecycleRule {
                expiration: after(2),
                ..rule("large", large)
            },
            LifecycleRule {
                expiration: after(1),
                status: ExpirationStatus::Disabled,
                ..rule("off", prefix(""))
            },
        ])
        .await;
    bench.days(2).await;
    assert_eq!(bench.versions(), "half large small");
    bench.days(1).await;
    assert_eq!(bench.versions(), "half small");
}

#[tokio::test]
async fn a_date_acts_when_it_is_over() {
    let bench = Bench::new(false, false);
    bench.put("a", 1, None).await;
    let date = midnight_after(Timestamp(START_MS), 2);
    let expiration = |date| {
        Some(LifecycleExpiration {
            date: Some(date),
            ..Default::default()
        })
    };
    bench
        .rules(vec![LifecycleRule {
            expiration: expiration(date),
            ..rule("date", prefix(""))
        }])
        .await;
    bench.days(2).await;
    assert_eq!(bench.versions(), "a");
    bench.days(1).await;
    assert_eq!(bench.versions(), "");
    bench.put("b", 1, None).await;
    bench
        .rules(vec![LifecycleRule {
            expiration: expiration(date),
            ..rule("past", prefix(""))
        }])
        .await;
    assert_eq!(bench.versions(), "");
}

#[tokio::test]
async fn current_versions_expire_to_delete_markers_and_those_go_when_they_hide_nothing() {
    let bench = Bench::new(true, false);
    bench.put("a", 1, None).await;
    bench.put("a", 2, None).await;
    bench.delete("gone");
    bench
        .rules(vec![
            LifecycleRule {
                expiration: after(1),
                noncurrent_version_expiration: Some(NoncurrentVersionExpiration {
                    noncurrent_days: Some(3),
                    ..Default::default()
                }),
                ..rule("a", prefix("a"))
            },
            LifecycleRule {
                expiration: Some(LifecycleExpiration {
                    expired_object_delete_marker: Some(true),
                    ..Default::default()
                }),
                ..rule("markers", prefix(""))
            },
        ])
        .await;
    assert_eq!(bench.versions(), "a a");
    bench.days(2).await;
    assert_eq!(bench.versions(), "-a a a");
    bench.days(2).await;
    assert_eq!(
        bench.versions(),
        "-a a",
        "it was replaced at once, so it is three days old"
    );
    bench.days(2).await;
    bench.days(1).await;
    assert_eq!(bench.versions(), "");
}

#[tokio::test]
async fn the_newest_versions_that_are_not_current_may_stay() {
    let bench = Bench::new(true, false);
    for bytes in 1..=5 {
        bench.put("a", bytes, None).await;
    }
    bench
        .rules(vec![LifecycleRule {
            noncurrent_version_expiration: Some(NoncurrentVersionExpiration {
                noncurrent_days: Some(1),
                newer_noncurrent_versions: Some(2),
            }),
            ..rule("a", prefix(""))
        }])
        .await;
    assert_eq!(bench.versions(), "a a a a a");
    bench.days(2).await;
    assert_eq!(bench.versions(), "a a a");
}

#[tokio::test]
async fn locked_versions_stay() {
    let bench = Bench::new(true, true);
    bench.put("a", 1, None).await;
    let held = bench.put("a", 2, None).await.version_id;
    bench.put("a", 3, None).await;
    let input = model::PutObjectLegalHoldInput {
        bucket: BUCKET.into(),
        key: "a".into(),
        version_id: held,
        legal_hold: Some(model::ObjectLockLegalHold {
            status: Some(model::ObjectLockLegalHoldStatus::On),
        }),
        ..Default::default()
    };
    bench.write(lock::put_object_legal_hold, input);
    bench
        .rules(vec![LifecycleRule {
            noncurrent_version_expiration: Some(NoncurrentVersionExpiration {
                noncurrent_days: Some(1),
                ..Default::default()
            }),
            ..rule("a", prefix(""))
        }])
        .await;
    bench.days(3).await;
    assert_eq!(bench.versions(), "a a");
}

#[tokio::test]
async fn large_objects_move_down() {
    let bench = Bench::new(false, false);
    bench.put("large", 200 << 10, None).await;
    bench.put("small", 1, None).await;
    let to = |days, class| Transition {
        days: Some(days),
        storage_class: Some(class),
        ..Default::default()
    };
    bench
        .rules(vec![LifecycleRule {
            transitions: Some(vec![
                to(0, TransitionStorageClass::GlacierIr),
                to(2, TransitionStorageClass::DeepArchive),
            ]),
            ..rule("down", prefix(""))
        }])
        .await;
    assert_eq!(bench.versions(), "large small");
    bench.days(1).await;
    assert_eq!(bench.versions(), "large:GLACIER_IR small");
    bench.days(2).await;
    assert_eq!(bench.versions(), "large:DEEP_ARCHIVE small");
}

#[tokio::test]
async fn uploads_are_given_up() {
    let bench = Bench::new(false, false);
    bench
        .rules(vec![LifecycleRule {
            abort_incomplete_multipart_upload: Some(model::AbortIncompleteMultipartUpload {
                days_after_initiation: Some(2),
            }),
            ..rule("uploads", prefix("a"))
        }])
        .await;
    let begin = |key: &str| {
        let input = model::CreateMultipartUploadInput {
            bucket: BUCKET.into(),
            key: key.into(),
            storage_class: Some(StorageClass::Standard),
            ..Default::default()
        };
        bench.write(multipart::create, input)
    };
    let (a, b) = (begin("a"), begin("b"));
    let due = midnight_after(Timestamp(START_MS), 2);
    assert_eq!(a.abort_date, Some(due));
    assert_eq!(a.abort_rule_id.as_deref(), Some("uploads"));
    assert_eq!(b.abort_date, None);
    let open = || {
        let call = bench.call();
        let input = model::ListMultipartUploadsInput {
            bucket: BUCKET.into(),
            ..Default::default()
        };
        let listed = uploads::list_uploads(&call, &call.view(), input)
            .map_err(Failure::from)
            .expect("it lists");
        let keys = (listed.uploads.into_iter().flatten()).filter_map(|upload| upload.key);
        keys.collect::<Vec<_>>().join(" ")
    };
    bench.days(2).await;
    assert_eq!(open(), "a b");
    bench.days(1).await;
    assert_eq!(open(), "b");
}

/// More than one transaction looks at.
#[tokio::test]
async fn a_sweep_of_many_objects_goes_piece_by_piece() {
    let bench = Bench::new(true, false);
    for at in 0..700 {
        bench.put(&format!("k{:03}", at / 7), 1, None).await;
    }
    bench
        .rules(vec![LifecycleRule {
            expiration: after(1),
            noncurrent_version_expiration: Some(NoncurrentVersionExpiration {
                noncurrent_days: Some(1),
                newer_noncurrent_versions: Some(1),
            }),
            ..rule("all", prefix(""))
        }])
        .await;
    assert_eq!(bench.versions().split(' ').count(), 700);
    bench.days(2).await;
    // The marker, the version that was current, and one newer one spared.
    let left = bench.versions();
    assert_eq!(left.split(' ').count(), 300, "{left}");
    bench.days(2).await;
    let left = bench.versions();
    assert_eq!(left.split(' ').count(), 200, "{left}");
}

#[test]
fn days_are_rounded_up_to_midnight() {
    let check = |ms: i64, days, expected_days: i64| {
        let found = midnight_after(Timestamp(ms), days);
        assert_eq!(found, Timestamp(expected_days * DAY_MS), "{ms} + {days}");
    };
    check(0, 1, 1);
    check(1, 1, 2);
    check(DAY_MS - 1, 0, 1);
    check(10 * DAY_MS + 1, 3, 14);
    assert_eq!(next_midnight(Timestamp(0)), Timestamp(DAY_MS));
    assert_eq!(next_midnight(Timestamp(1)), Timestamp(DAY_MS));
    assert!(midnight_after(Timestamp(i64::MAX), i64::MAX).0 > 0);
}
