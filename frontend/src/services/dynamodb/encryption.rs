//! Encryption at rest: recorded and told, with keys that nobody looks up. Nothing is encrypted.

use cumulog_model::dynamodb as model;
use md5::{Digest, Md5};
use model::SSESpecification;

use super::error::ValidationError;
use super::rows::EncryptionRow;
use crate::call::Call;
use crate::hex;

/// What a specification asks for; `None` is the encryption that AWS never tells of.
pub(super) fn row(
    call: &Call,
    specification: &SSESpecification,
) -> Result<Option<EncryptionRow>, ValidationError> {
    let key = specification.kms_master_key_id.as_deref();
    let kind = specification.sse_type.as_ref();
    if specification.enabled == Some(false) {
        return match (kind, key) {
            (Some(_), _) => Err(ValidationError::invalid(
                "SSEType can not be specified if Enabled is false",
            )),
            (None, Some(_)) => Err(ValidationError::invalid(
                "KMSMasterKeyId can not be specified if Enabled is false",
            )),
            (None, None) => Ok(None),
        };
    }
    if kind == Some(&model::SSEType::Aes256) {
        return Err(ValidationError::invalid("SSEType AES256 is not supported"));
    }
    if key.is_some() && kind.is_none() {
        return Err(ValidationError::invalid(
            "SSEType KMS is required if KMSMasterKeyId is specified",
        ));
    }
    if specification.enabled.is_none() && kind.is_none() {
        return Ok(None);
    }
    let arn = |resource: &str| format!("arn:aws:kms:{}:{}:{resource}", call.region, call.account);
    let kms_key = match key {
        None => arn(&format!("key/{}", default_key(call))),
        Some(given) if given.starts_with("arn:") => given.to_owned(),
        Some(alias) if alias.starts_with("alias/") => arn(alias),
        Some(id) => arn(&format!("key/{id}")),
    };
    Ok(Some(EncryptionRow { kms_key }))
}

/// The key that AWS keeps for DynamoDB: one for each account and region.
fn default_key(call: &Call) -> String {
    let name = format!("{}/{}/alias/aws/dynamodb", call.account, call.region);
    let digits = hex::lower(&Md5::digest(name));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    parts.join("-")
}

/// Puts another encryption in the place of the current one. Asking for what is there is an error, if it is asked for by the
/// key's ARN, or nothing is.
pub(super) fn change(
    call: &Call,
    current: Option<&EncryptionRow>,
    specification: &SSESpecification,
) -> Result<Option<EncryptionRow>, ValidationError> {
    let wanted = row(call, specification)?;
    match (current, &wanted) {
        (None, None) => Err(ValidationError::invalid(
            "Table is already encrypted by default",
        )),
        (Some(current), Some(_))
            if specification.kms_master_key_id.as_ref() == Some(&current.kms_key) =>
        {
            Err(ValidationError::invalid(
                "Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to \
                 change Master Key",
            ))
        }
        _ => Ok(wanted),
    }
}

/// An encryption as answers describe it.
pub(super) fn describe(row: &EncryptionRow) -> model::SSEDescription {
    model::SSEDescription {
        status: Some(model::SSEStatus::Enabled),
        sse_type: Some(model::SSEType::Kms),
        kms_master_key_arn: Some(row.kms_key.clone()),
        ..Default::default()
    }
}
