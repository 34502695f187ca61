//! Random writes and deletions in a bucket with versions, held against a plain list of versions per key.

use super::body::{self, Piece};
use super::rows::{NULLS, OBJECTS, VERSIONS};
use super::{buckets, delete, get, list, list_versions, put, versioning};
use crate::call::Call;
use crate::failure::Failure;
use crate::testing::TestWorld;
use cumulog_engine::Txn;
use cumulog_model::s3 as model;
use cumulog_shape::ByteStream;
use std::collections::BTreeMap;

const BUCKET: &str = "bucket";
const KEYS: [&str; 3] = ["a", "a/b", "z"];

/// What a version is: its id, and its content unless it is a delete marker.
type Known = (String, Option<String>);

struct Bench {
    call: Call,
    _world: TestWorld,
    /// Newest first.
    expected: BTreeMap<&'static str, Vec<Known>>,
    versioning: Option<model::BucketVersioningStatus>,
    random: fastrand::Rng,
}

impl Bench {
    fn new(seed: u64) -> Bench {
        let world = TestWorld::new();
        let bench = Bench {
            call: world.call("s3"),
            _world: world,
            expected: BTreeMap::new(),
            versioning: None,
            random: fastrand::Rng::with_seed(seed),
        };
        let input = model::CreateBucketInput {
            bucket: BUCKET.into(),
            ..Default::default()
        };
        bench
            .write(buckets::create_bucket, input)
            .expect("it is a bucket");
        bench
    }

    fn write<I, O, E: Into<Failure>>(
        &self,
        handler: fn(&Call, &mut Txn, I) -> Result<O, E>,
        input: I,
    ) -> Result<O, Failure> {
        let committed = self
            .call
            .store()
            .commit(|txn| handler(&self.call, txn, input));
        committed
            .wait()
            .expect("memory does not fail")
            .map_err(Into::into)
    }

    fn switch(&mut self) {
        let status = match self.random.bool() {
            true => model::BucketVersioningStatus::Enabled,
            false => model::BucketVersioningStatus::Suspended,
        };
        let input = model::PutBucketVersioningInput {
            bucket: BUCKET.into(),
            versioning_configuration: model::VersioningConfiguration {
                status: Some(status.clone()),
                ..Default::default()
            },
            ..Default::default()
        };
        self.write(versioning::put_bucket_versioning, input)
            .expect("it is a bucket");
        self.versioning = Some(status);
    }

    /// The versions of a key once a new one stands before them: whatever it replaces is gone.
    fn push(&mut self, key: &'static str, version: Option<String>, content: Option<String>) {
        let known = self.expected.entry(key).or_default();
        let id = version.unwrap_or_else(|| "null".to_owned());
        if id == "null" {
            known.retain(|(id, _)| id != "null");
        }
        if self.versioning.is_some() || content.is_some() {
            known.insert(0, (id, content));
        }
    }

    async fn put(&mut self) {
        let key = KEYS[self.random.usize(..KEYS.len())];
        let content = format!("{}", self.random.u32(..));
        let input = model::PutObjectInput {
            bucket: BUCKET.into(),
            key: key.into(),
            body: ByteStream::from(content.clone().into_bytes()),
            ..Default::default()
        };
        let put = put::put_object(self.call.clone(), input).await;
        let version = put.expect("it is put").version_id;
        let named = self.versioning == Some(model::BucketVersioningStatus::Enabled);
        assert_eq!(version.is_some(), named);
        self.push(key, version, Some(content));
    }

    fn delete(&mut self) {
        let key = KEYS[self.random.usize(..KEYS.len())];
        let input = model::DeleteObjectInput {
            bucket: BUCKET.into(),
            key: key.into(),
            ..Default::default()
        };
        let deleted = self
            .write(delete::delete_object, input)
            .expect("a deletion always holds");
        assert_eq!(
            deleted.delete_marker == Some(true),
            self.versioning.is_some()
        );
        self.push(key, deleted.version_id, None);
    }

    fn delete_version(&mut self) {
        let key = KEYS[self.random.usize(..KEYS.len())];
        let known = self.expected.entry(key).or_default();
        let known = (!known.is_empty()).then(|| known.remove(self.random.usize(..known.len())));
        let (id, content) = known.unwrap_or_else(|| ("null".to_owned(), Some(String::new())));
        let input = model::DeleteObjectInput {
            bucket: BUCKET.into(),
            key: key.into(),
            version_id: Some(id),
            ..Default::default()
        };
        let deleted = self
            .write(delete::delete_object, input)
            .expect("a deletion always holds");
        assert_eq!(deleted.delete_marker == Some(true), content.is_none());
    }

    /// Every body has a reference, and every `null` that is not current is known.
    fn audit(&self) {
        let view = self.call.view();
        let objects = OBJECTS
            .scan(&view, &())
            .map(|row| row.expect("it decodes").1);
        let older = VERSIONS
            .scan(&view, &())
            .map(|row| row.expect("it decodes"));
        let nulls = older
            .filter(|(_, row)| row.version.is_empty())
            .map(|((bucket, key, place), _)| ((bucket, key), u64::MAX - place));
        let known = NULLS.scan(&view, &()).map(|row| row.expect("it decodes"));
        assert_eq!(nulls.collect::<Vec<_>>(), known.collect::<Vec<_>>());
        let older = VERSIONS
            .scan(&view, &())
            .filter_map(|row| row.expect("it decodes").1.object);
        let pieces: Vec<Piece> = objects.chain(older).flat_map(|row| row.body).collect();
        body::audit(&view, &pieces);
    }

    /// What a page by page listing shows: key, id, whether it is the latest, whether it is a delete marker.
    fn listed(&self, max: i32) -> Vec<(String, String, bool, bool)> {
        let (mut key_marker, mut version_id_marker) = (None, None);
        let mut listed = Vec::new();
        loop {
            let input = model::ListObjectVersionsInput {
                bucket: BUCKET.into(),
                max_keys: Some(max),
                key_marker,
                version_id_marker,
                ..Default::default()
            };
            let page = list_versions::list_object_versions(&self.call, &self.call.view(), input)
                .map_err(Failure::from)
                .expect("it lists");
            let versions = page.versions.into_iter().flatten().map(|version| {
                let id = version.version_id.expect("it has one");
                let latest = version.is_latest == Some(true);
                (version.key.expect("it has one"), id, latest, false)
            });
            let markers = page.delete_markers.into_iter().flatten().map(|marker| {
                let id = marker.version_id.expect("it has one");
                let latest = marker.is_latest == Some(true);
                (marker.key.expect("it has one"), id, latest, true)
            });
            listed.extend(versions.chain(markers));
            if page.is_truncated != Some(true) {
                return listed;
            }
            (key_marker, version_id_marker) = (page.next_key_marker, page.next_version_id_marker);
        }
    }

    async fn compare(&mut self) {
        let max = self.random.i32(1..6);
        let mut expected = Vec::new();
        for (key, versions) in &self.expected {
            for (at, (id, content)) in versions.iter().enumerate() {
                expected.push((key.to_string(), id.clone(), at == 0, content.is_none()));
            }
        }
        // A page lists versions and delete markers apart.
        assert_eq!(sorted(self.listed(max)), sorted(expected));
        let input = model::ListObjectsV2Input {
            bucket: BUCKET.into(),
            ..Default::default()
        };
        let current = list::list_objects_v2(&self.call, &self.call.view(), input)
            .map_err(Failure::from)
            .expect("it lists");
        let current: Vec<_> = (current.contents.into_iter().flatten())
            .filter_map(|object| object.key)
            .collect();
        let visible = self.expected.iter().filter(|(_, versions)| {
            versions
                .first()
                .is_some_and(|(_, content)| content.is_some())
        });
        let visible: Vec<_> = visible.map(|(key, _)| key.to_string()).collect();
        assert_eq!(current, visible);
        for (key, versions) in &self.expected {
            assert_eq!(
                self.read(key, None).await,
                versions.first().cloned().and_then(|(_, content)| content)
            );
            for (id, content) in versions {
                assert_eq!(
                    self.read(key, Some(id.clone())).await,
                    *content,
                    "{key} {id}"
                );
            }
        }
    }

    async fn read(&self, key: &str, version_id: Option<String>) -> Option<String> {
        let input = model::GetObjectInput {
            bucket: BUCKET.into(),
            key: key.into(),
            version_id,
            ..Default::default()
        };
        let found = get::get_object(self.call.clone(), input).await.ok()?;
        let bytes = found.body.collect(1 << 20).await.expect("it is whole");
        Some(String::from_utf8(bytes.to_vec()).expect("it was text"))
    }
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

#[test]
fn versions_are_those_that_were_written_and_not_deleted() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for seed in 0..12 {
        runtime.block_on(async {
            let mut bench = Bench::new(seed);
            for step in 0..80 {
                match bench.random.usize(..10) {
                    0 if step > 8 => bench.switch(),
                    0..=4 => bench.put().await,
                    5 | 6 => bench.delete(),
                    _ => bench.delete_version(),
                }
                bench.audit();
                bench.compare().await;
            }
        });
    }
}

/// Clients delete what a page showed before they ask for the next.
#[test]
fn a_listing_goes_on_behind_versions_that_are_gone() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut bench = Bench::new(1);
        while bench.versioning != Some(model::BucketVersioningStatus::Enabled) {
            bench.switch();
        }
        for _ in 0..20 {
            bench.put().await;
        }
        let all = bench.listed(1000);
        let (key, id, ..) = &all[7];
        for (key, id, ..) in &all[..8] {
            let input = model::DeleteObjectInput {
                bucket: BUCKET.into(),
                key: key.clone(),
                version_id: Some(id.clone()),
                ..Default::default()
            };
            bench
                .write(delete::delete_object, input)
                .expect("a deletion always holds");
        }
        let input = model::ListObjectVersionsInput {
            bucket: BUCKET.into(),
            key_marker: Some(key.clone()),
            version_id_marker: Some(id.clone()),
            ..Default::default()
        };
        let page = list_versions::list_object_versions(&bench.call, &bench.call.view(), input)
            .map_err(Failure::from)
            .expect("it lists");
        let rest: Vec<_> = (page.versions.into_iter().flatten())
            .map(|version| version.version_id.expect("it has one"))
            .collect();
        let expected: Vec<_> = all[8..].iter().map(|(_, id, ..)| id.clone()).collect();
        assert_eq!(rest, expected);
    });
}
