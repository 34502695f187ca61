//! What PUT, COPY and CreateMultipartUpload say of the object to come, beside its bytes.

use super::acl::Acl;
use super::encryption::Wanted;
use super::error::{METADATA_BYTES_MAX, S3Error};
use super::names::form_decoded;
use super::ownership::check_acl;
use super::rows::{BucketRow, Lock, Metadata, Traits};
use super::words;
use crate::call::Call;
use crate::chunked::stored_content_encoding;
use cumulog_engine::Read;
use cumulog_model::s3::StorageClass;
use cumulog_shape::Map;

/// An object without its bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) metadata: Metadata,
    pub(super) traits: Traits,
    pub(super) tags: Vec<(String, String)>,
    pub(super) lock: Lock,
    /// As the request asks; the bucket may not allow it.
    pub(super) acl: Option<Acl>,
    pub(super) encryption: Wanted,
}

impl Draft {
    /// The object's traits, once its bucket has its say: whether it takes that ACL, and how it encrypts by default.
    pub(super) fn settled(
        &self,
        call: &Call,
        read: &impl Read,
        (bucket, row): (&str, &BucketRow),
    ) -> Result<Traits, S3Error> {
        let mut traits = self.traits.clone();
        if let Some(acl) = &self.acl {
            check_acl(read, bucket, row, acl)?;
            acl.clone().save_object(&mut traits);
        }
        traits.encryption = self.encryption.settled(call, read, bucket)?;
        Ok(traits)
    }
}

/// The draft in an input. The three inputs have the same members, so this is by name.
macro_rules! draft {
    ($input:expr) => {{
        let input = &mut $input;
        let canned = input.acl.as_ref().map(|acl| acl.as_str());
        let headers = $crate::services::s3::acl::grant_headers!(input, None);
        let names = $crate::services::s3::acl::OF_OBJECTS;
        let acl = $crate::services::s3::acl::of_headers(canned, names, headers)?;
        let encryption = $crate::services::s3::encryption::wanted!(*input)?;
        Ok::<_, $crate::services::s3::error::S3Error>($crate::services::s3::draft::Draft {
            metadata: $crate::services::s3::rows::Metadata {
                content_type: input.content_type.take().filter(|value| !value.is_empty()),
                content_encoding: $crate::services::s3::draft::stored_encoding(
                    input.content_encoding.take(),
                ),
                content_language: input.content_language.take(),
                content_disposition: input.content_disposition.take(),
                cache_control: input.cache_control.take(),
                expires: input.expires.take(),
                user: $crate::services::s3::draft::user_metadata(input.metadata.take())?,
            },
            traits: $crate::services::s3::rows::Traits {
                storage_class: $crate::services::s3::draft::storage_class(
                    input.storage_class.take(),
                )?,
                website_redirect: $crate::services::s3::draft::website_redirect(
                    input.website_redirect_location.take(),
                )?,
                ..Default::default()
            },
            tags: $crate::services::s3::draft::tags(input.tagging.take())?,
            lock: $crate::services::s3::lock::given(
                input.object_lock_mode.take(),
                input.object_lock_retain_until_date.take(),
                input.object_lock_legal_hold_status.take(),
            )?,
            acl,
            encryption,
        })
    }};
}
pub(super) use draft;

/// Refuses what no object here can have. By name, as the three inputs share it.
macro_rules! refuse_unsupported {
    ($input:expr) => {{
        let input = &$input;
        $crate::services::s3::error::refuse(&[
            (
                "x-amz-object-lock-event-hold",
                input.object_lock_event_hold.is_some(),
            ),
            (
                "x-amz-object-lock-event-hold-duration-days",
                input.object_lock_event_hold_duration_days.is_some(),
            ),
            (
                "x-amz-object-lock-event-hold-duration-years",
                input.object_lock_event_hold_duration_years.is_some(),
            ),
        ])?;
    }};
}
pub(super) use refuse_unsupported;

/// `aws-chunked` is framing and is not stored; anything else is stored as it came.
pub(super) fn stored_encoding(given: Option<String>) -> Option<String> {
    let given = given.filter(|codings| !codings.is_empty())?;
    match given.to_ascii_lowercase().contains("aws-chunked") {
        true => stored_content_encoding(&given),
        false => Some(given),
    }
}

/// `x-amz-meta-…` as stored: names in lower case, values as the text that they stand for.
pub(super) fn user_metadata(given: Option<Map<String>>) -> Result<Vec<(String, String)>, S3Error> {
    let given = given.unwrap_or_default();
    let bytes = given
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > METADATA_BYTES_MAX {
        return Err(S3Error::MetadataTooLarge { bytes });
    }
    let stored =
        |(name, value): (String, String)| (name.to_ascii_lowercase(), words::decoded(&value));
    Ok(given.into_iter().map(stored).collect())
}

/// Empty for STANDARD.
pub(super) fn storage_class(given: Option<StorageClass>) -> Result<String, S3Error> {
    match given {
        None | Some(StorageClass::Standard) => Ok(String::new()),
        Some(
            class @ (StorageClass::ReducedRedundancy
            | StorageClass::StandardIa
            | StorageClass::OnezoneIa
            | StorageClass::IntelligentTiering
            | StorageClass::Glacier
            | StorageClass::GlacierIr
            | StorageClass::DeepArchive),
        ) => Ok(class.as_str().to_owned()),
        Some(other) => Err(S3Error::InvalidStorageClass {
            requested: other.as_str().to_owned(),
        }),
    }
}

pub(super) fn website_redirect(given: Option<String>) -> Result<Option<String>, S3Error> {
    match given {
        Some(location)
            if !["/", "http://", "https://"]
                .iter()
                .any(|start| location.starts_with(start)) =>
        {
            Err(S3Error::argument(
                "x-amz-website-redirect-location",
                location,
                "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
            ))
        }
        other => Ok(other),
    }
}

/// Most tags of an object.
pub(super) const TAGS_MAX: usize = 10;

/// The tags of `x-amz-tagging`: a form, at most ten pairs, no name twice.
pub(super) fn tags(header: Option<String>) -> Result<Vec<(String, String)>, S3Error> {
    let Some(header) = header else {
        return Ok(Vec::new());
    };
    let refused = || {
        S3Error::argument(
            "x-amz-tagging",
            header.as_str(),
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag \
             name duplicates.",
        )
    };
    let mut tags: Vec<(String, String)> = Vec::new();
    for pair in header.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = form_decoded(key).ok_or_else(refused)?;
        let value = form_decoded(value).ok_or_else(refused)?;
        check_tag(&key, &value)?;
        if tags.iter().any(|(earlier, _)| *earlier == key) {
            return Err(refused());
        }
        tags.push((key, value));
    }
    if tags.len() > TAGS_MAX {
        return Err(S3Error::BadRequest("Object tags cannot be greater than 10"));
    }
    tags.sort();
    Ok(tags)
}

/// The rules for one tag.
pub(super) fn check_tag(key: &str, value: &str) -> Result<(), S3Error> {
    let spelled = |text: &str| {
        text.chars()
            .all(|char| char.is_alphanumeric() || " +-=._:/@".contains(char))
    };
    let message = if key.is_empty() || key.chars().count() > 128 || !spelled(key) {
        "The TagKey you have provided is invalid"
    } else if value.chars().count() > 256 || !spelled(value) {
        "The TagValue you have provided is invalid"
    } else if key.starts_with("aws:") {
        "Your TagKey cannot be prefixed with aws:"
    } else {
        return Ok(());
    };
    Err(S3Error::InvalidTag {
        message,
        key: key.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_a_form() {
        let check = |header: &str, expected: Option<&[(&str, &str)]>| {
            let found = tags(Some(header.to_owned())).ok();
            let expected = expected.map(|tags| {
                tags.iter()
                    .map(|(key, value)| (key.to_string(), value.to_string()))
                    .collect()
            });
            assert_eq!(found, expected, "{header}");
        };
        check("", Some(&[]));
        check("c=d&a=b", Some(&[("a", "b"), ("c", "d")]));
        check("a=&b", Some(&[("a", ""), ("b", "")]));
        check("a+b=%C3%A9", Some(&[("a b", "é")]));
        check("a=1&a=2", None);
        check("a=%FF", None);
        check("aws:x=1", None);
        check("a=1,2", None);
        check(
            &(0..11).map(|at| format!("k{at}=&")).collect::<String>(),
            None,
        );
    }

    #[test]
    fn metadata_is_measured_whole() {
        let check = |name: usize, value: usize| {
            let map: Map<String> = [("n".repeat(name), "v".repeat(value))]
                .into_iter()
                .collect();
            user_metadata(Some(map)).is_ok()
        };
        assert!(check(48, 2000));
        assert!(!check(48, 2001));
    }
}
