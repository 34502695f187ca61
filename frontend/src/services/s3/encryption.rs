//! Encryption at rest, as far as clients can tell. Nothing is encrypted: which key an object says that it is encrypted
//! with is recorded and shown. Keys of KMS are not looked up. A key that the client keeps is checked whenever AWS checks
//! it; of such a key only the MD5 is stored.

use super::buckets::require_bucket;
use super::configuration::{Kind, check_values, delete, get, put};
use super::error::S3Error;
use super::rows::EncryptionRow;
use super::versions::name;
use crate::call::Call;
use crate::checksum::Algorithm;
use crate::service::Service;
use base64_simd::STANDARD;
use cumulog_engine::{Read, Txn};
use cumulog_model::s3::{
    self as model, EncryptionType, GetBucketEncryptionOutput, ObjectEncryption,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, UpdateObjectEncryptionInput, UpdateObjectEncryptionOutput,
};

const ENCRYPTION: Kind<ServerSideEncryptionConfiguration> = Kind::new("encryption");

pub(super) fn register(service: Service) -> Service {
    service
        .write::<model::PutBucketEncryption, _>(put_bucket_encryption)
        .read::<model::GetBucketEncryption, _>(get_bucket_encryption)
        .write::<model::DeleteBucketEncryption, _>(delete_bucket_encryption)
        .write::<model::UpdateObjectEncryption, _>(update_object_encryption)
}

put!(
    put_bucket_encryption,
    PutBucketEncryption,
    server_side_encryption_configuration,
    ENCRYPTION,
    checked
);
get!(
    get_bucket_encryption,
    GetBucketEncryption,
    ENCRYPTION,
    shown
);
delete!(delete_bucket_encryption, DeleteBucketEncryption, ENCRYPTION);

/// Every bucket encrypts by keys of S3 unless it says otherwise.
fn shown(
    _: &str,
    found: Option<ServerSideEncryptionConfiguration>,
) -> Result<GetBucketEncryptionOutput, S3Error> {
    Ok(GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(found.unwrap_or_else(usual)),
    })
}

fn usual() -> ServerSideEncryptionConfiguration {
    ServerSideEncryptionConfiguration {
        rules: vec![ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
                sse_algorithm: ServerSideEncryption::Aes256,
                kms_master_key_id: None,
            }),
            bucket_key_enabled: Some(false),
            ..Default::default()
        }],
    }
}

fn checked(
    _: &Call,
    _: &mut Txn,
    _: &str,
    mut configuration: ServerSideEncryptionConfiguration,
) -> Result<ServerSideEncryptionConfiguration, S3Error> {
    let [rule] = &mut configuration.rules[..] else {
        return Err(S3Error::MalformedXml);
    };
    let by_default =
        rule.apply_server_side_encryption_by_default
            .get_or_insert(ServerSideEncryptionByDefault {
                sse_algorithm: ServerSideEncryption::Aes256,
                kms_master_key_id: None,
            });
    match by_default.sse_algorithm {
        ServerSideEncryption::Aes256 if by_default.kms_master_key_id.is_some() => {
            return Err(S3Error::InvalidArgument {
                message: "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or \
                          aws:kms:dsse"
                    .to_owned(),
                name: "ApplyServerSideEncryptionByDefault",
                value: None,
            });
        }
        ServerSideEncryption::Aes256
        | ServerSideEncryption::AwsKms
        | ServerSideEncryption::AwsKmsDsse => {}
        _ => return Err(S3Error::MalformedXml),
    }
    rule.bucket_key_enabled.get_or_insert(false);
    check_values(&configuration)?;
    Ok(configuration)
}

/// Gives an object another key of KMS, without a new version.
fn update_object_encryption(
    _: &Call,
    txn: &mut Txn,
    input: UpdateObjectEncryptionInput,
) -> Result<UpdateObjectEncryptionOutput, S3Error> {
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let ObjectEncryption::Ssekms(wanted) = &input.object_encryption;
    let name = name!(input);
    let mut version = name.open(txn, "PUT")?;
    let encryption = &mut version.row.traits.encryption;
    if encryption
        .as_ref()
        .is_some_and(|row| !row.customer_md5.is_empty())
    {
        let message = "The encryption parameters are not applicable to this object.";
        return Err(S3Error::request(message));
    }
    if !wanted.kms_key_arn.starts_with("arn:") {
        let message = "The KMS key must be given by its ARN.";
        return Err(S3Error::argument(
            "KMSKeyArn",
            wanted.kms_key_arn.as_str(),
            message,
        ));
    }
    *encryption = Some(EncryptionRow {
        algorithm: ServerSideEncryption::AwsKms.as_str().to_owned(),
        key: wanted.kms_key_arn.clone(),
        bucket_key: wanted.bucket_key_enabled == Some(true),
        ..Default::default()
    });
    name.save(txn, version);
    Ok(UpdateObjectEncryptionOutput::default())
}

/// Whether the bucket says how its objects are to be encrypted.
pub(super) fn is_configured(read: &impl Read, bucket: &str) -> Result<bool, S3Error> {
    Ok(ENCRYPTION.get(read, bucket)?.is_some())
}

/// What a request says of encryption.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    algorithm: Option<ServerSideEncryption>,
    key: Option<String>,
    context: Option<String>,
    bucket_key: Option<bool>,
    /// The MD5 of the key that the client keeps.
    customer: Option<String>,
}

/// What an input says of encryption. By name, as the three inputs have the members.
macro_rules! wanted {
    ($input:expr) => {{
        let input = &$input;
        let customer = $crate::services::s3::encryption::customer_key!(input);
        let algorithm = input.server_side_encryption.as_ref();
        let key = input.ssekms_key_id.as_deref();
        let context = input.ssekms_encryption_context.as_deref();
        $crate::services::s3::encryption::Wanted::checked(
            (algorithm, key, context),
            input.bucket_key_enabled,
            customer,
        )
    }};
}
pub(super) use wanted;

/// The client's key in an input. By name, as many inputs have the members.
macro_rules! customer_key {
    ($input:expr) => {
        $crate::services::s3::encryption::CustomerKey {
            algorithm: $input.sse_customer_algorithm.as_deref(),
            key: $input.sse_customer_key.as_deref(),
            md5: $input.sse_customer_key_md5.as_deref(),
        }
    };
}
pub(super) use customer_key;

/// A key that the client keeps, as its three headers give it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CustomerKey<'a> {
    pub(super) algorithm: Option<&'a str>,
    /// Base64.
    pub(super) key: Option<&'a str>,
    /// Base64.
    pub(super) md5: Option<&'a str>,
}

/// The argument that all refusals of keys name.
const HEADER: &str = "x-amz-server-side-encryption";

impl CustomerKey<'_> {
    /// The key's MD5, if it is a good one.
    pub(super) fn checked(self) -> Result<Option<String>, S3Error> {
        let refused = |message: &str| S3Error::InvalidArgument {
            message: message.to_owned(),
            name: HEADER,
            value: Some("null".to_owned()),
        };
        let (algorithm, key) = match (self.algorithm, self.key) {
            (None, None) => return Ok(None),
            (None, Some(_)) => {
                return Err(refused(
                    "Requests specifying Server Side Encryption with Customer provided keys must provide a valid \
                     encryption algorithm.",
                ));
            }
            (Some(_), None) => {
                return Err(refused(
                    "Requests specifying Server Side Encryption with Customer provided keys must provide an \
                     appropriate secret key.",
                ));
            }
            (Some(algorithm), Some(key)) => (algorithm, key),
        };
        if algorithm != "AES256" {
            return Err(S3Error::InvalidEncryptionAlgorithm {
                given: algorithm.to_owned(),
            });
        }
        let key = STANDARD.decode_to_vec(key).unwrap_or_default();
        if key.len() != 32 {
            return Err(refused(
                "The secret key was invalid for the specified algorithm.",
            ));
        }
        let Some(md5) = self.md5 else {
            return Err(refused(
                "Requests specifying Server Side Encryption with Customer provided keys must provide the client \
                 calculated MD5 of the secret key.",
            ));
        };
        if Algorithm::Md5.checksum(&key).base64() != md5 {
            return Err(refused(
                "The calculated MD5 hash of the key did not match the hash that was provided.",
            ));
        }
        Ok(Some(md5.to_owned()))
    }

    /// Fails unless this is the key of the object, or neither has one.
    pub(super) fn check_opens(self, stored: Option<&EncryptionRow>) -> Result<(), S3Error> {
        let stored = stored
            .map(|row| row.customer_md5.as_str())
            .unwrap_or_default();
        let given = self.md5.is_some() || self.key.is_some();
        if stored.is_empty() {
            return match given {
                true => Err(S3Error::request(
                    "The encryption parameters are not applicable to this object.",
                )),
                false => Ok(()),
            };
        }
        match self.md5 {
            None => Err(S3Error::request(
                "The object was stored using a form of Server Side Encryption. The correct parameters must be \
                 provided to retrieve the object.",
            )),
            Some(md5) if md5 != stored => Err(S3Error::WrongCustomerKey),
            Some(_) => self.checked().map(drop),
        }
    }

    /// Fails if this is another key than an upload was begun with; it need not be there.
    pub(super) fn check_if_given(self, upload: Option<&EncryptionRow>) -> Result<(), S3Error> {
        match self.key.is_some() || self.algorithm.is_some() {
            true => self.check_continues(upload),
            false => Ok(()),
        }
    }

    /// Fails unless this is the key that an upload was begun with, or neither has one.
    pub(super) fn check_continues(self, upload: Option<&EncryptionRow>) -> Result<(), S3Error> {
        let begun = upload
            .map(|row| row.customer_md5.as_str())
            .unwrap_or_default();
        match self.checked()?.unwrap_or_default() {
            given if given == begun => Ok(()),
            given if given.is_empty() || begun.is_empty() => Err(S3Error::request(
                "The multipart upload initiate requested encryption. Subsequent part requests must include the \
                 appropriate encryption parameters.",
            )),
            _ => Err(S3Error::request(
                "The provided encryption parameters did not match the ones used originally.",
            )),
        }
    }
}

impl Wanted {
    pub(super) fn checked(
        (algorithm, key, context): (Option<&ServerSideEncryption>, Option<&str>, Option<&str>),
        bucket_key: Option<bool>,
        customer: CustomerKey<'_>,
    ) -> Result<Wanted, S3Error> {
        let refused =
            |algorithm: &str, message: &str| S3Error::argument(HEADER, algorithm, message);
        let given = customer.algorithm.is_some() || customer.key.is_some();
        let is_kms = match algorithm {
            None | Some(ServerSideEncryption::Aes256) => false,
            Some(ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse) => true,
            Some(other) => {
                let message = "The encryption method specified is not supported";
                return Err(refused(other.as_str(), message));
            }
        };
        if let Some(algorithm) = algorithm.filter(|_| given) {
            let message = "Server Side Encryption with Customer provided key is incompatible with the encryption method \
                           specified";
            return Err(refused(algorithm.as_str(), message));
        }
        if (key.is_some() || context.is_some()) && !is_kms {
            let algorithm = algorithm.map_or("null", ServerSideEncryption::as_str);
            let message = "Server Side Encryption with AWS KMS managed key requires HTTP header \
                           x-amz-server-side-encryption : aws:kms";
            return Err(refused(algorithm, message));
        }
        if let Some(context) = context {
            check_context(context)?;
        }
        Ok(Wanted {
            algorithm: algorithm.cloned(),
            key: key.map(str::to_owned),
            context: context.map(str::to_owned),
            bucket_key,
            customer: customer.checked()?,
        })
    }

    /// Whether the request says anything.
    pub(super) fn is_given(&self) -> bool {
        self.algorithm.is_some() || self.customer.is_some()
    }

    /// What the object's row says: what the request wants, else what its bucket does by default. `None`: keys of S3.
    pub(super) fn settled(
        &self,
        call: &Call,
        read: &impl Read,
        bucket: &str,
    ) -> Result<Option<EncryptionRow>, S3Error> {
        let rule = ENCRYPTION.get(read, bucket)?;
        let rule = rule.and_then(|configuration| configuration.rules.into_iter().next());
        if let Some(md5) = &self.customer {
            let blocked = rule.and_then(|rule| rule.blocked_encryption_types?.encryption_type);
            let is_blocked = blocked.is_some_and(|types| types.contains(&EncryptionType::SseC));
            return match is_blocked {
                true => Err(S3Error::AccessDenied),
                false => Ok(Some(EncryptionRow {
                    customer_md5: md5.clone(),
                    ..Default::default()
                })),
            };
        }
        let bucket_key = rule.as_ref().and_then(|rule| rule.bucket_key_enabled);
        let default = rule.and_then(|rule| rule.apply_server_side_encryption_by_default);
        let (algorithm, key) = match (&self.algorithm, default) {
            (Some(algorithm), _) => (algorithm.clone(), self.key.clone()),
            (None, Some(default)) => (default.sse_algorithm, default.kms_master_key_id),
            (None, None) => return Ok(None),
        };
        if algorithm == ServerSideEncryption::Aes256 {
            return Ok(None);
        }
        // Double encryption has no bucket keys.
        let has_bucket_key = algorithm == ServerSideEncryption::AwsKms;
        Ok(Some(EncryptionRow {
            algorithm: algorithm.as_str().to_owned(),
            key: key_arn(call, key.as_deref()),
            context: self.context.clone().unwrap_or_default(),
            bucket_key: has_bucket_key && self.bucket_key.or(bucket_key) == Some(true),
            customer_md5: String::new(),
        }))
    }
}

/// A context is base64 of a JSON object from names to texts.
fn check_context(context: &str) -> Result<(), S3Error> {
    let json = STANDARD.decode_to_vec(context).ok();
    let value = json.and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
    let texts = |value: serde_json::Value| {
        let object = value.as_object()?;
        Some(object.values().all(serde_json::Value::is_string))
    };
    match value.and_then(texts) {
        Some(true) => Ok(()),
        _ => Err(S3Error::argument(
            "x-amz-server-side-encryption-context",
            context,
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which \
             represents a string-string map",
        )),
    }
}

/// The key by its ARN, as answers show it. Without one it is the account's own for S3, whose id is always the same.
fn key_arn(call: &Call, key: Option<&str>) -> String {
    let path = match key {
        Some(arn) if arn.starts_with("arn:") => return arn.to_owned(),
        Some(alias) if alias.starts_with("alias/") => alias.to_owned(),
        Some(id) => format!("key/{id}"),
        None => {
            let seed = format!("aws/s3 {} {}", call.account, call.region);
            let hex = Algorithm::Md5.checksum(seed.as_bytes()).hex();
            let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
            format!(
                "key/{}-{}-{}-{}-{}",
                part(0, 8),
                part(8, 12),
                part(12, 16),
                part(16, 20),
                part(20, 32)
            )
        }
    };
    format!("arn:aws:kms:{}:{}:{path}", call.region, call.account)
}

impl EncryptionRow {
    /// The algorithm as answers show it; those of objects with a client's key show that instead.
    pub(super) fn shown_algorithm(row: Option<&EncryptionRow>) -> Option<ServerSideEncryption> {
        match row {
            None => Some(ServerSideEncryption::Aes256),
            Some(row) if !row.customer_md5.is_empty() => None,
            Some(row) => Some(row.algorithm.as_str().into()),
        }
    }
}

/// Sets the members that tell of encryption. By name, as many outputs have them.
macro_rules! set_encryption {
    ($output:expr, $row:expr) => {{
        let row: Option<&$crate::services::s3::rows::EncryptionRow> = $row;
        $output.server_side_encryption =
            $crate::services::s3::rows::EncryptionRow::shown_algorithm(row);
        if let Some(row) = row {
            $output.ssekms_key_id = Some(row.key.clone()).filter(|key| !key.is_empty());
            $output.bucket_key_enabled = row.bucket_key.then_some(true);
        }
    }};
}
pub(super) use set_encryption;

/// Sets the member for the context of a key of KMS, in the answers to writes.
macro_rules! set_context {
    ($output:expr, $row:expr) => {{
        let row: Option<&$crate::services::s3::rows::EncryptionRow> = $row;
        let context = row.map(|row| row.context.clone());
        $output.ssekms_encryption_context = context.filter(|context| !context.is_empty());
    }};
}
pub(super) use set_context;

/// Sets the members that tell of the client's key. By name, as many outputs have them.
macro_rules! set_customer_key {
    ($output:expr, $row:expr) => {{
        let row: Option<&$crate::services::s3::rows::EncryptionRow> = $row;
        if let Some(row) = row.filter(|row| !row.customer_md5.is_empty()) {
            $output.sse_customer_algorithm = Some("AES256".to_owned());
            $output.sse_customer_key_md5 = Some(row.customer_md5.clone());
        }
    }};
}
pub(super) use set_customer_key;
