use aws_sdk_s3::primitives::ByteStream;

use crate::emulator::Emulator;

/// A file goes up as `aws-chunked` with a trailing checksum, comes down whole, in
/// ranges and in listings, and all of it again after a kill.
#[tokio::test]
async fn objects_survive_a_kill() {
    let mut emulator = Emulator::start();
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n * 7 / 5) as u8).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, &body).unwrap();

    let s3 = emulator.s3();
    s3.create_bucket().bucket("bucket").send().await.unwrap();
    let stream = ByteStream::from_path(&file).await.unwrap();
    let put = s3.put_object().bucket("bucket").key("a//b é").body(stream);
    let put = put.metadata("color", "blue").send().await.unwrap();
    let small = ByteStream::from_static(b"small");
    s3.put_object()
        .bucket("bucket")
        .key("small")
        .body(small)
        .send()
        .await
        .unwrap();

    for _ in 0..2 {
        let s3 = emulator.s3();
        let whole = s3
            .get_object()
            .bucket("bucket")
            .key("a//b é")
            .send()
            .await
            .unwrap();
        assert_eq!(whole.e_tag(), put.e_tag());
        assert_eq!(whole.metadata().unwrap()["color"], "blue");
        assert_eq!(whole.body.collect().await.unwrap().to_vec(), body);

        let part = s3
            .get_object()
            .bucket("bucket")
            .key("a//b é")
            .range("bytes=100-199");
        let part = part.send().await.unwrap();
        assert_eq!(part.content_range(), Some("bytes 100-199/3000000"));
        assert_eq!(part.body.collect().await.unwrap().to_vec(), body[100..200]);

        let list = s3.list_objects_v2().bucket("bucket").send().await.unwrap();
        let keys: Vec<_> = list
            .contents()
            .iter()
            .map(|object| object.key().unwrap())
            .collect();
        assert_eq!(keys, ["a//b é", "small"]);
        emulator.kill_and_restart();
    }
}

#[tokio::test]
async fn errors_are_typed() {
    let emulator = Emulator::start();
    let s3 = emulator.s3();
    s3.create_bucket().bucket("bucket").send().await.unwrap();
    let missing = s3.get_object().bucket("bucket").key("k").send().await;
    assert!(missing.unwrap_err().into_service_error().is_no_such_key());
    let missing = s3.head_object().bucket("bucket").key("k").send().await;
    assert!(missing.unwrap_err().into_service_error().is_not_found());
    let taken = s3
        .delete_bucket()
        .bucket("absent")
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        taken.into_service_error().meta().code(),
        Some("NoSuchBucket")
    );
}
