//! Forms that browsers post to buckets of S3.

use cumulog_model::s3::PutObject;
use cumulog_shape::{ByteStream, Operation as _};
use http::{HeaderValue, Method, StatusCode, header};

use super::{Trace, Unread, codec, exchange::Exchange};
use crate::{
    failure::Failure,
    hosts,
    http::{Chunks, Response},
    multipart::Form,
    services::s3::post::{self, Answer, Posted},
};

/// The bucket that a form is posted to, if the request is one: a POST to the bucket itself, without a query that would
/// name an operation.
pub(super) fn bucket(exchange: &Exchange<'_>) -> Option<String> {
    let signs = &exchange.signs;
    let is_post = exchange.route.service.schema.name == "s3"
        && signs.method == Method::POST
        && signs.query.unwrap_or_default().is_empty();
    if !is_post {
        return None;
    }
    let path = signs.path.trim_matches('/');
    let host = signs
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    match host.and_then(hosts::bucket) {
        Some(bucket) => path.is_empty().then(|| bucket.to_owned()),
        None if path.is_empty() || path.contains('/') => None,
        None => {
            let bucket = percent_encoding::percent_decode_str(path)
                .decode_utf8()
                .ok()?;
            Some(bucket.into_owned())
        }
    }
}

/// Stores what the form brings.
pub(super) async fn answer(
    exchange: &Exchange<'_>,
    bucket: String,
    body: Unread,
    trace: &mut Trace,
) -> Result<Response, Failure> {
    trace.operation = "PostObject";
    let kind = exchange.signs.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let body = match body {
        Unread::Arrived(bytes) => bytes.into(),
        Unread::Arriving(body) => ByteStream::new(Chunks(body), None),
    };
    let form = Form::new(kind, body).ok_or_else(|| {
        let message = "At least one of the pre-conditions you specified did not hold";
        Failure::sender("PreconditionFailed", 412, message).with(
            "Condition",
            "Bucket POST must be of the enclosure-type multipart/form-data",
        )
    })?;
    let call = exchange.call("PutObject", trace);
    let posted = post::post_object(call, bucket, form).await?;
    written(exchange, posted, trace)
}

/// As a PUT is answered, but in the form that the form asks for.
fn written(exchange: &Exchange<'_>, posted: Posted, trace: &Trace) -> Result<Response, Failure> {
    let Posted {
        mut output,
        answer,
        location,
    } = posted;
    let mut response = codec::write(
        exchange.route,
        PutObject::SCHEMA,
        &mut output,
        &trace.request_id,
    )?;
    let (status, place, document) = match answer {
        Answer::Nothing(status) => (status, location, None),
        Answer::Document(document) => (201, location, Some(document)),
        Answer::Redirect(url) => (303, url, None),
    };
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::NO_CONTENT);
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    if let Some(document) = document {
        *response.body_mut() = document.into_bytes().into();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/xml"),
        );
    }
    Ok(response)
}
