//! Which operation a request reaches: a case for every S3 operation in the model, and what must not fall through.

use cumulog_model::s3;
use cumulog_shape::router::{Found, NoRoute, Router};
use cumulog_shape::uri;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Routes `METHOD /path?query header header`; headers get a value.
fn route(request: &str) -> Result<Found, NoRoute> {
    let mut words = request.split(' ');
    let (method, target) = (
        words.next().expect("a method"),
        words.next().expect("a target"),
    );
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: HeaderMap = words
        .map(|name| {
            (
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                HeaderValue::from_static("v"),
            )
        })
        .collect();
    Router::new(&s3::SERVICE).find(method, path, &uri::pairs(query).expect("UTF-8"), &headers)
}

#[track_caller]
fn check(request: &str, operation: &str) {
    assert_eq!(
        route(request).map(|found| found.operation.name),
        Ok(operation),
        "{request}"
    );
}

#[track_caller]
fn check_labels(target: &str, labels: &[&str]) {
    let found = route(&format!("GET {target}")).expect("a route");
    let values: Vec<&str> = found
        .labels
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(values, labels, "{target}");
}

#[track_caller]
fn check_lost(request: &str, reason: NoRoute) {
    assert_eq!(
        route(request).map(|found| found.operation.name),
        Err(reason),
        "{request}"
    );
}

/// Makes the plainest request for each operation from its binding; those that share it come below.
#[test]
fn every_operation_is_reached_by_its_own_binding() {
    // Older operations on the same binding as newer ones, or of another endpoint.
    let shadowed = [
        ("GetBucketLifecycle", "GetBucketLifecycleConfiguration"),
        (
            "GetBucketNotification",
            "GetBucketNotificationConfiguration",
        ),
        ("PutBucketLifecycle", "PutBucketLifecycleConfiguration"),
        (
            "PutBucketNotification",
            "PutBucketNotificationConfiguration",
        ),
        ("ListDirectoryBuckets", "ListBuckets"),
    ];
    for operation in s3::SERVICE.operations {
        let http = operation.http;
        let target = http
            .uri
            .replace("{Bucket}", "bucket")
            .replace("{Key+}", "a/key");
        let mut join = if target.contains('?') { '&' } else { '?' };
        let mut request = format!("{} {target}", http.method);
        for key in http.required_query {
            request.extend([join, 'K', '=', 'v']);
            request = request.replace("K=v", &format!("{key}=v"));
            join = '&';
        }
        for name in http.required_headers {
            request = format!("{request} {name}");
        }
        let shadow = shadowed.iter().find(|(name, _)| *name == operation.name);
        check(
            &request,
            shadow.map_or(operation.name, |(_, shadow)| shadow),
        );
    }
}

#[test]
fn the_query_tells_operations_apart() {
    check("GET /", "ListBuckets");
    check("GET /?x-id=ListBuckets", "ListBuckets");
    check("GET /bucket", "ListObjects");
    check("GET /bucket/", "ListObjects");
    check("GET /bucket?prefix=a&delimiter=/&max-keys=3", "ListObjects");
    check("GET /bucket?list-type=2&prefix=a", "ListObjectsV2");
    check("GET /bucket/?list-type=2", "ListObjectsV2");
    check("GET /bucket?list-type=1", "ListObjects");
    check("GET /bucket?uploads", "ListMultipartUploads");
    check("GET /bucket?uploads=", "ListMultipartUploads");
    check("GET /bucket?versions&prefix=a", "ListObjectVersions");
    check("GET /bucket?location", "GetBucketLocation");
    check("GET /bucket?acl", "GetBucketAcl");
    check("GET /bucket?analytics", "ListBucketAnalyticsConfigurations");
    check(
        "GET /bucket?analytics&id=1",
        "GetBucketAnalyticsConfiguration",
    );
    check("GET /bucket?id=1", "ListObjects");
    check("POST /bucket?delete", "DeleteObjects");
    check("POST /bucket/?delete", "DeleteObjects");
    check("PUT /bucket/key", "PutObject");
    check("PUT /bucket/key?x-id=PutObject", "PutObject");
    check("PUT /bucket/key?X-Amz-Signature=1", "PutObject");
    check("PUT /bucket/key?acl", "PutObjectAcl");
    check("PUT /bucket/key?acl x-amz-copy-source", "PutObjectAcl");
    check("PUT /bucket/key?tagging", "PutObjectTagging");
    check("PUT /bucket/key x-amz-copy-source", "CopyObject");
    check("PUT /bucket/key?uploadId=1&partNumber=1", "UploadPart");
    check(
        "PUT /bucket/key?uploadId=1&partNumber=1 x-amz-copy-source",
        "UploadPartCopy",
    );
    check("GET /bucket/key?partNumber=1", "GetObject");
    check("HEAD /bucket/key?partNumber=1", "HeadObject");
    check(
        "GET /bucket/key?versionId=1&response-content-type=a",
        "GetObject",
    );
    check("GET /bucket/key?uploadId=1", "ListParts");
    check("GET /bucket/key?prefix=acl", "GetObject");
    check("POST /bucket/key?uploads", "CreateMultipartUpload");
    check("POST /bucket/key?uploadId=1", "CompleteMultipartUpload");
    check(
        "POST /bucket/key?select&select-type=2",
        "SelectObjectContent",
    );
    check("DELETE /bucket/key", "DeleteObject");
    check("DELETE /bucket/key?versionId=1", "DeleteObject");
    check("DELETE /bucket/key?uploadId=1", "AbortMultipartUpload");
    check(
        "POST /WriteGetObjectResponse x-amz-request-route x-amz-request-token",
        "WriteGetObjectResponse",
    );
    check("PUT /WriteGetObjectResponse", "CreateBucket");
}

/// A half-made demand reaches the operation that can say what is missing.
#[test]
fn what_is_missing_is_for_the_operation_to_say() {
    check("PUT /bucket/key?uploadId=1", "UploadPart");
    check("PUT /bucket/key?partNumber=1", "UploadPart");
    check(
        "DELETE /bucket?analytics",
        "DeleteBucketAnalyticsConfiguration",
    );
    check("PUT /bucket/key?renameObject", "RenameObject");
    check("GET /bucket/key?attributes", "GetObjectAttributes");
}

/// The worst that a router can do is to overwrite or delete an object that was not meant.
#[test]
fn no_request_falls_through_to_a_lesser_operation() {
    check_lost("PUT /bucket/key?uploads", NoRoute::Method);
    check_lost("DELETE /bucket/key?acl", NoRoute::Method);
    check_lost("DELETE /bucket/key?uploads", NoRoute::Method);
    check_lost("DELETE /bucket?acl", NoRoute::Method);
    check_lost("DELETE /bucket?versioning", NoRoute::Method);
    check_lost("PUT /bucket?uploads", NoRoute::Method);
    check_lost("GET /bucket?delete", NoRoute::Method);
    check_lost("GET /bucket?acl&policy", NoRoute::Method);
    check_lost("POST /bucket", NoRoute::Method);
    check_lost("POST /bucket/key", NoRoute::Method);
    check_lost("PATCH /bucket/key", NoRoute::Method);
    check_lost("PUT /", NoRoute::Method);
    check_lost("GET //key", NoRoute::Path);
    check_lost("GET *", NoRoute::Path);
    check_lost("GET /bucket/%FF", NoRoute::Encoding);
    check_lost("GET /%C3/key", NoRoute::Encoding);
}

#[test]
fn keys_survive_as_they_came() {
    check_labels("/bucket", &["bucket"]);
    check_labels("/bucket/", &["bucket"]);
    check_labels("/bucket/key", &["bucket", "key"]);
    check_labels("/bucket/key/", &["bucket", "key/"]);
    check_labels("/bucket//", &["bucket", "/"]);
    check_labels("/bucket//key", &["bucket", "/key"]);
    check_labels("/bucket/a//b", &["bucket", "a//b"]);
    check_labels("/bucket/../x/./y", &["bucket", "../x/./y"]);
    check_labels("/bucket/%2E%2E%2Fx", &["bucket", "../x"]);
    check_labels("/bucket/a+b%20c%2Bd", &["bucket", "a+b c+d"]);
    check_labels("/bucket/%C3%A9%F0%9F%98%80", &["bucket", "é😀"]);
    check_labels("/bucket/%25%3F%23%0A", &["bucket", "%?#\n"]);
    check_labels("/bucket/100%", &["bucket", "100%"]);
}
