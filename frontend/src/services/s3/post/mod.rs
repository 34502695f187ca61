//! Uploads by HTML forms: `POST` of `multipart/form-data` to a bucket.
//!
//! The fields are those that PUT has as headers; the file is stored as it comes. A form with a policy is signed, in the
//! fields, and must keep to the policy. Signatures are read, as elsewhere.

mod policy;

use self::policy::Policy;
use super::access;
use super::error::S3Error;
use super::names::{path_encoded, url_encoded};
use super::put::{Manner, store};
use crate::call::{self, Call};
use crate::failure::Failure;
use crate::hosts;
use crate::multipart::{FIELDS_BYTES_MAX, Form};
use cumulog_model::s3::{
    PutObject, PutObjectInput, PutObjectOutput, PutObjectTagging, PutObjectTaggingInput,
};
use cumulog_shape::{BindError, ByteStream, Operation as _, rest};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What a form has led to.
pub(crate) struct Posted {
    pub(crate) output: PutObjectOutput,
    pub(crate) answer: Answer,
    /// Where the object is.
    pub(crate) location: String,
}

/// What the form wants to be answered.
pub(crate) enum Answer {
    /// 204, or 200.
    Nothing(u16),
    /// 201 and a document.
    Document(String),
    /// 303: the browser goes on there.
    Redirect(String),
}

/// The fields of a form, by name in lower case.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(field, _)| field == name);
        named.next().map(|(_, value)| value.as_str())
    }
}

/// Stores the file of a form in `bucket`.
pub(crate) async fn post_object(
    call: Call,
    bucket: String,
    mut form: Form,
) -> Result<Posted, Failure> {
    let (fields, filename) = fields(&mut form).await?;
    let key = fields.get("key").ok_or_else(|| missing("key"))?;
    let key = key.replace("${filename}", &filename);
    if key.is_empty() {
        let message = "User key must have a length greater than 0.";
        return Err(S3Error::argument("key", "", message).into());
    }
    let mut checked = fields.0.clone();
    checked.retain(|(name, _)| name != "key" && name != "bucket");
    checked.push(("key".to_owned(), key.clone()));
    checked.push(("bucket".to_owned(), bucket.clone()));
    let call = signed(call, &fields)?;
    let policy = fields.get("policy").map(Policy::parse).transpose()?;
    if let Some(policy) = &policy {
        policy.check(call.now, &checked)?;
    }
    let file = ByteStream::new(form.into_content(), None);
    let input = input(&fields, &bucket, &key, file)?;
    access::authorize(&call, &input)?;
    let check_length = |bytes| match &policy {
        Some(policy) => policy.check_length(bytes),
        None => Ok(()),
    };
    let location = location(&call, &bucket, &key);
    let output = store(call, input, Manner::Post(&check_length)).await?;
    let answer = answer(&fields, (&bucket, &key), &location, &output);
    Ok(Posted {
        output,
        answer,
        location,
    })
}

/// Reads the fields up to the file; gives the file's name, too.
async fn fields(form: &mut Form) -> Result<(Fields, String), Failure> {
    let mut fields = Vec::new();
    let mut left = FIELDS_BYTES_MAX;
    while let Some(part) = form.next_part().await? {
        let name = part.name.to_ascii_lowercase();
        if name == "file" {
            // Some browsers send the whole path.
            let path = part.filename.unwrap_or_default();
            let filename = path.rsplit(['/', '\\']).next().unwrap_or_default();
            return Ok((Fields(fields), filename.to_owned()));
        }
        let value = form.text(left).await?;
        left = left.saturating_sub(name.len() + value.len());
        fields.push((name, value));
    }
    let message = "POST requires exactly one file upload per request.";
    Err(S3Error::argument("file", "0", message).into())
}

fn missing(field: &str) -> Failure {
    let message = format!(
        "Bucket POST must contain a field named '{field}'.  If it is specified, please check the order of the fields."
    );
    Failure::sender("InvalidArgument", 400, message)
        .with("ArgumentName", field)
        .with("ArgumentValue", "")
}

/// The call as that of who has signed the form. A form with a policy must be signed, and one that is signed must have a
/// policy.
fn signed(call: Call, fields: &Fields) -> Result<Call, Failure> {
    let scope = fields.get("x-amz-credential");
    let is_version_4 = scope.is_some() || fields.get("x-amz-algorithm").is_some();
    let access_key = match is_version_4 {
        true => scope.and_then(|scope| scope.split('/').next()),
        false => fields.get("awsaccesskeyid"),
    };
    if fields.get("policy").is_none() {
        return match access_key {
            None => Ok(call),
            Some(_) => Err(missing("policy")),
        };
    }
    let required: &[(&str, &str)] = match is_version_4 {
        true => &[
            ("x-amz-signature", "X-Amz-Signature"),
            ("x-amz-algorithm", "X-Amz-Algorithm"),
            ("x-amz-credential", "X-Amz-Credential"),
            ("x-amz-date", "X-Amz-Date"),
        ],
        false => &[
            ("signature", "Signature"),
            ("awsaccesskeyid", "AWSAccessKeyId"),
        ],
    };
    if let Some((_, shown)) = required.iter().find(|(name, _)| fields.get(name).is_none()) {
        return Err(missing(shown));
    }
    let region = scope
        .and_then(|scope| scope.split('/').nth(2))
        .filter(|region| !region.is_empty());
    Ok(Call {
        account: call::account(access_key.unwrap_or_default()).into(),
        region: region.map_or_else(|| call.region.clone(), Into::into),
        is_anonymous: false,
        ..call
    })
}

/// The same input as a PUT with the fields for headers.
fn input(
    fields: &Fields,
    bucket: &str,
    key: &str,
    file: ByteStream,
) -> Result<PutObjectInput, Failure> {
    let mut headers = HeaderMap::new();
    let mut metadata = Vec::new();
    for (name, value) in &fields.0 {
        if let Some(name) = name.strip_prefix("x-amz-meta-") {
            metadata.push((name.to_owned(), value.clone()));
            continue;
        }
        let (name, value) = match name.as_str() {
            "acl" => ("x-amz-acl", value.clone()),
            "tagging" => ("x-amz-tagging", tagging(value)?),
            "content-type"
            | "content-encoding"
            | "content-disposition"
            | "content-language"
            | "cache-control"
            | "expires" => (name.as_str(), value.clone()),
            name if name.starts_with("x-amz-") => (name, value.clone()),
            _ => continue,
        };
        let header = HeaderName::from_bytes(name.as_bytes())
            .ok()
            .zip(HeaderValue::from_bytes(value.as_bytes()).ok());
        let Some((name, value)) = header else {
            return Err(S3Error::request(format!("The field '{name}' is not a header.")).into());
        };
        headers.append(name, value);
    }
    let mut input = PutObjectInput::default();
    let request = rest::RestRequest {
        labels: &[("Bucket", bucket.to_owned()), ("Key", key.to_owned())],
        query: &[],
        headers: &headers,
        body: file,
    };
    rest::read(PutObject::SCHEMA, request, &mut input).map_err(unreadable)?;
    input.metadata = Some(metadata.into_iter().collect());
    Ok(input)
}

fn unreadable(error: BindError) -> Failure {
    match error {
        BindError::Malformed(message) => S3Error::request(message).into(),
        BindError::Value { name, text, .. } => {
            let message = format!("Invalid value for {name}");
            Failure::sender("InvalidArgument", 400, message)
                .with("ArgumentName", name)
                .with("ArgumentValue", text)
        }
    }
}

/// The field's document as the header has it.
fn tagging(document: &str) -> Result<String, Failure> {
    let mut input = PutObjectTaggingInput::default();
    let request = rest::RestRequest {
        labels: &[],
        query: &[],
        headers: &HeaderMap::new(),
        body: document.as_bytes().to_vec().into(),
    };
    rest::read(PutObjectTagging::SCHEMA, request, &mut input).map_err(|_| S3Error::MalformedXml)?;
    let pairs = input.tagging.tag_set.into_iter();
    let pairs = pairs.map(|tag| format!("{}={}", form_encoded(&tag.key), form_encoded(&tag.value)));
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

/// The object's URL, in the form in which the bucket was named.
fn location(call: &Call, bucket: &str, key: &str) -> String {
    let host = call.endpoint();
    let key = path_encoded(key);
    match hosts::bucket(host) {
        Some(_) => format!("http://{host}/{key}"),
        None => format!("http://{host}/{bucket}/{key}"),
    }
}

fn answer(
    fields: &Fields,
    (bucket, key): (&str, &str),
    location: &str,
    output: &PutObjectOutput,
) -> Answer {
    let etag = output.e_tag.as_deref().unwrap_or_default();
    let redirect = fields
        .get("success_action_redirect")
        .or(fields.get("redirect"));
    if let Some(url) =
        redirect.filter(|url| url.starts_with("http://") || url.starts_with("https://"))
    {
        let mark = if url.contains('?') { '&' } else { '?' };
        return Answer::Redirect(format!(
            "{url}{mark}bucket={}&key={}&etag={}",
            url_encoded(bucket),
            form_encoded(key),
            form_encoded(etag)
        ));
    }
    match fields.get("success_action_status") {
        Some("200") => Answer::Nothing(200),
        Some("201") => Answer::Document(document(&[
            ("Location", location),
            ("Bucket", bucket),
            ("Key", key),
            ("ETag", etag),
        ])),
        _ => Answer::Nothing(204),
    }
}

/// As a value in a query or form.
fn form_encoded(text: &str) -> String {
    url_encoded(text).replace('/', "%2F")
}

fn document(elements: &[(&str, &str)]) -> String {
    let mut document = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse>");
    for (name, value) in elements {
        let value = value
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;");
        document.push_str(&format!("<{name}>{value}</{name}>"));
    }
    document.push_str("</PostResponse>");
    document
}
