//! Random operations, held against a plain map, with the books of the bodies audited after each.

use super::body::{self, Piece};
use super::rows::{OBJECTS, PARTS, VERSIONS};
use super::{buckets, complete, copy, delete, get, list, multipart, part_copy, put, tagging};
use crate::call::Call;
use crate::failure::Failure;
use crate::testing::TestWorld;
use cumulog_engine::Txn;
use cumulog_model::s3 as model;
use cumulog_shape::ByteStream;
use std::collections::BTreeMap;

const BUCKET: &str = "bucket";

/// Keys few enough that operations meet.
const KEYS: [&str; 4] = ["a", "b", "c/d", "source"];

/// The least that a part before the last must have.
const PART: usize = 5 << 20;

struct S3 {
    call: Call,
    _world: TestWorld,
    /// What is stored, by key.
    expected: BTreeMap<String, Vec<u8>>,
    /// Uploads under way: key, id, parts by number.
    uploads: Vec<(String, String, BTreeMap<i32, Vec<u8>>)>,
    random: u64,
}

impl S3 {
    fn new(seed: u64) -> S3 {
        let world = TestWorld::new();
        let s3 = S3 {
            call: world.call("s3"),
            _world: world,
            expected: BTreeMap::new(),
            uploads: Vec::new(),
            random: seed,
        };
        s3.write(
            buckets::create_bucket,
            model::CreateBucketInput {
                bucket: BUCKET.into(),
                ..Default::default()
            },
        )
        .expect("it is a bucket");
        s3
    }

    /// A number below `end`.
    fn pick(&mut self, end: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.random >> 33) as usize % end
    }

    fn key(&mut self) -> String {
        KEYS[self.pick(KEYS.len())].to_owned()
    }

    /// A body that is empty, short, of one chunk or of several.
    fn content(&mut self) -> Vec<u8> {
        let chunk = cumulog_engine::PIECE_BYTES;
        let bytes = [0, 1, 1000, chunk, chunk + 1, 3 * chunk + 5][self.pick(6)];
        let first = self.pick(256);
        (first..first + bytes).map(|at| (at % 253) as u8).collect()
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

    async fn put(&mut self, content_md5: Option<String>) {
        let (key, content) = (self.key(), self.content());
        let refused = content_md5.is_some();
        let input = model::PutObjectInput {
            bucket: BUCKET.into(),
            key: key.clone(),
            body: ByteStream::from(content.clone()),
            content_md5,
            ..Default::default()
        };
        let done = put::put_object(self.call.clone(), input).await;
        assert_eq!(done.is_err(), refused);
        if !refused {
            self.expected.insert(key, content);
        }
    }

    /// A client that goes away in the middle of its body.
    async fn break_off(&mut self) {
        let mut upload = body::Upload::new(&self.call);
        let written = upload.write(self.content().into()).await;
        written.expect("there is space");
    }

    fn delete(&mut self) {
        let key = self.key();
        let input = model::DeleteObjectInput {
            bucket: BUCKET.into(),
            key: key.clone(),
            ..Default::default()
        };
        self.write(delete::delete_object, input)
            .expect("a deletion always holds");
        self.expected.remove(&key);
    }

    async fn copy(&mut self) {
        let (from, to) = (self.key(), self.key());
        let input = model::CopyObjectInput {
            bucket: BUCKET.into(),
            key: to.clone(),
            copy_source: format!("{BUCKET}/{from}"),
            metadata_directive: Some(model::MetadataDirective::Replace),
            ..Default::default()
        };
        let done = copy::copy_object(self.call.clone(), input).await;
        assert_eq!(done.is_ok(), self.expected.contains_key(&from));
        if let Some(content) = self.expected.get(&from).cloned() {
            self.expected.insert(to, content);
        }
    }

    fn begin(&mut self) {
        let key = self.key();
        let input = model::CreateMultipartUploadInput {
            bucket: BUCKET.into(),
            key: key.clone(),
            ..Default::default()
        };
        let created = self.write(multipart::create, input).expect("it can begin");
        self.uploads.push((
            key,
            created.upload_id.expect("it has an id"),
            BTreeMap::new(),
        ));
    }

    async fn upload_part(&mut self, content: Vec<u8>, number: i32) {
        if self.uploads.is_empty() {
            return;
        }
        let at = self.pick(self.uploads.len());
        let (key, id, parts) = &mut self.uploads[at];
        let input = model::UploadPartInput {
            bucket: BUCKET.into(),
            key: key.clone(),
            upload_id: id.clone(),
            part_number: number,
            body: ByteStream::from(content.clone()),
            ..Default::default()
        };
        multipart::upload_part(self.call.clone(), input)
            .await
            .expect("it is under way");
        parts.insert(number, content);
    }

    async fn copy_part(&mut self) {
        let (from, whole) = (self.key(), self.pick(2) == 0);
        let Some(content) = self
            .expected
            .get(&from)
            .filter(|content| !content.is_empty())
            .cloned()
        else {
            return;
        };
        if self.uploads.is_empty() {
            return;
        }
        let (first, last) = if whole {
            (0, content.len() - 1)
        } else {
            (content.len() / 3, content.len() / 2)
        };
        let at = self.pick(self.uploads.len());
        let (key, id, parts) = &mut self.uploads[at];
        let input = model::UploadPartCopyInput {
            bucket: BUCKET.into(),
            key: key.clone(),
            upload_id: id.clone(),
            part_number: 2,
            copy_source: format!("{BUCKET}/{from}"),
            copy_source_range: (!whole).then(|| format!("bytes={first}-{last}")),
            ..Default::default()
        };
        part_copy::upload_part_copy(self.call.clone(), input)
            .await
            .expect("the source is there");
        parts.insert(2, content[first..=last].to_vec());
    }

    /// Completes or gives up an upload. Only its last parts may be short.
    fn end(&mut self, complete: bool) {
        let Some((key, id, parts)) = self.uploads.pop() else {
            return;
        };
        let named: Vec<i32> = match parts.keys().next_back() {
            Some(last) if parts.get(&1).is_some_and(|first| first.len() >= PART) && *last > 1 => {
                vec![1, *last]
            }
            Some(last) => vec![*last],
            None => Vec::new(),
        };
        if !complete || named.is_empty() {
            let input = model::AbortMultipartUploadInput {
                bucket: BUCKET.into(),
                key,
                upload_id: id,
                ..Default::default()
            };
            self.write(multipart::abort, input)
                .expect("it is under way");
            return;
        }
        let completed = named.iter().map(|number| model::CompletedPart {
            part_number: Some(*number),
            e_tag: Some(
                crate::checksum::Algorithm::Md5
                    .checksum(&parts[number])
                    .hex(),
            ),
            ..Default::default()
        });
        let input = model::CompleteMultipartUploadInput {
            bucket: BUCKET.into(),
            key: key.clone(),
            upload_id: id,
            multipart_upload: Some(model::CompletedMultipartUpload {
                parts: Some(completed.collect()),
            }),
            ..Default::default()
        };
        self.write(complete::complete, input)
            .expect("its parts are there");
        self.expected.insert(
            key,
            named
                .iter()
                .flat_map(|number| parts[number].clone())
                .collect(),
        );
    }

    fn tag(&mut self) {
        let key = self.key();
        let tag_set = vec![model::Tag {
            key: "k".into(),
            value: "v".into(),
        }];
        let input = model::PutObjectTaggingInput {
            bucket: BUCKET.into(),
            key: key.clone(),
            tagging: model::Tagging { tag_set },
            ..Default::default()
        };
        let done = self.write(tagging::put_object_tagging, input);
        assert_eq!(done.is_ok(), self.expected.contains_key(&key));
    }

    async fn step(&mut self) {
        match self.pick(12) {
            0..=2 => self.put(None).await,
            3 => self.put(Some("AAAAAAAAAAAAAAAAAAAAAA==".into())).await,
            4 => self.break_off().await,
            5 => self.delete(),
            6 => self.copy().await,
            7 => self.begin(),
            8 => {
                let content = if self.pick(3) == 0 {
                    vec![7; PART]
                } else {
                    self.content()
                };
                let number = [1, 1, 3][self.pick(3)];
                self.upload_part(content, number).await;
            }
            9 => self.copy_part().await,
            10 => {
                let complete = self.pick(3) > 0;
                self.end(complete);
            }
            _ => self.tag(),
        }
    }

    /// Every body has as many references as there are pieces of it, and there are no others.
    fn audit(&self) {
        let view = self.call.view();
        let objects = OBJECTS
            .scan(&view, &())
            .map(|row| row.expect("it decodes").1.body);
        let parts = PARTS
            .scan(&view, &())
            .map(|row| row.expect("it decodes").1.body);
        let older = VERSIONS
            .scan(&view, &())
            .filter_map(|row| row.expect("it decodes").1.object)
            .map(|object| object.body);
        let pieces: Vec<Piece> = objects.chain(older).chain(parts).flatten().collect();
        body::audit(&view, &pieces);
    }

    /// Listing and reading give what was stored.
    async fn compare(&self) {
        let view = self.call.view();
        let input = model::ListObjectsV2Input {
            bucket: BUCKET.into(),
            ..Default::default()
        };
        let listed = list::list_objects_v2(&self.call, &view, input)
            .map_err(Failure::from)
            .expect("it lists");
        let keys: Vec<_> = listed
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| object.key)
            .collect();
        assert_eq!(keys, self.expected.keys().cloned().collect::<Vec<_>>());
        for (key, content) in &self.expected {
            let input = model::GetObjectInput {
                bucket: BUCKET.into(),
                key: key.clone(),
                ..Default::default()
            };
            let found = get::get_object(self.call.clone(), input)
                .await
                .map_err(Failure::from)
                .expect("it is there");
            let bytes = found.body.collect(64 << 20).await.expect("it is whole");
            assert!(bytes == content.as_slice(), "{key} has other content");
        }
    }
}

#[test]
fn bodies_are_kept_exactly_as_long_as_something_refers_to_them() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for seed in 0..6 {
        runtime.block_on(async {
            let mut s3 = S3::new(seed);
            for _ in 0..150 {
                s3.step().await;
                s3.audit();
            }
            s3.compare().await;
            while !s3.uploads.is_empty() {
                s3.end(false);
            }
            for key in KEYS {
                let input = model::DeleteObjectInput {
                    bucket: BUCKET.into(),
                    key: key.into(),
                    ..Default::default()
                };
                s3.write(delete::delete_object, input)
                    .expect("a deletion always holds");
            }
            s3.audit();
            let input = model::DeleteBucketInput {
                bucket: BUCKET.into(),
                ..Default::default()
            };
            s3.write(buckets::delete_bucket, input)
                .expect("it is empty");
        });
    }
}
