//! What S3 refuses about configurations, in its words.

use crate::failure::Failure;
use crate::policy::Malformed;
use crate::services::s3::error::S3Error;

/// Why a configuration is refused, or not shown.
#[derive(Debug)]
pub(in crate::services::s3) enum ConfigurationError {
    /// There is none of a kind that has an error of its own for that.
    Missing(Missing, String),
    /// The id in the query is not that in the document.
    OtherId,
    /// The bucket that is to take access logs is in that other region.
    FarLogBucket(String),
    /// There is none by that id.
    NoSuchId,
    BadId,
    /// The bucket that reports are to go to is not named by an ARN.
    BadDestination,
    TooMany,
    /// The bucket that is to take access logs is not there.
    NoLogBucket(String),
    /// Queues that cannot be told, and why.
    Destinations(Vec<(String, &'static str)>),
    Policy(Malformed),
    PolicyTooLarge,
    /// A policy that lets in everyone, where that is blocked.
    PublicPolicy(String),
    /// A method that CORS rules cannot have.
    CorsMethod(String),
}

/// The kinds that have an error of their own for "there is none".
#[derive(Clone, Copy, Debug)]
pub(in crate::services::s3) enum Missing {
    Cors,
    Ownership,
    Policy,
    PublicAccessBlock,
    Replication,
    Website,
}

impl Missing {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Missing::Cors => (
                "NoSuchCORSConfiguration",
                "The CORS configuration does not exist",
            ),
            Missing::Ownership => (
                "OwnershipControlsNotFoundError",
                "The bucket ownership controls were not found",
            ),
            Missing::Policy => ("NoSuchBucketPolicy", "The bucket policy does not exist"),
            Missing::PublicAccessBlock => (
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
            ),
            Missing::Replication => (
                "ReplicationConfigurationNotFoundError",
                "The replication configuration was not found",
            ),
            Missing::Website => (
                "NoSuchWebsiteConfiguration",
                "The specified bucket does not have a website configuration",
            ),
        }
    }

    pub(in crate::services::s3) fn in_bucket(self, bucket: &str) -> S3Error {
        ConfigurationError::Missing(self, bucket.to_owned()).into()
    }
}

/// The elements that name several arguments.
const NUMBERED: [(&str, &str); 10] = [
    ("ArgumentName1", "ArgumentValue1"),
    ("ArgumentName2", "ArgumentValue2"),
    ("ArgumentName3", "ArgumentValue3"),
    ("ArgumentName4", "ArgumentValue4"),
    ("ArgumentName5", "ArgumentValue5"),
    ("ArgumentName6", "ArgumentValue6"),
    ("ArgumentName7", "ArgumentValue7"),
    ("ArgumentName8", "ArgumentValue8"),
    ("ArgumentName9", "ArgumentValue9"),
    ("ArgumentName10", "ArgumentValue10"),
];

impl From<ConfigurationError> for S3Error {
    fn from(error: ConfigurationError) -> S3Error {
        S3Error::Configuration(error)
    }
}

impl From<ConfigurationError> for Failure {
    fn from(error: ConfigurationError) -> Failure {
        match error {
            ConfigurationError::Missing(kind, bucket) => {
                let (code, message) = kind.words();
                Failure::sender(code, 404, message).with("BucketName", bucket)
            }
            ConfigurationError::NoSuchId => Failure::sender(
                "NoSuchConfiguration",
                404,
                "The specified configuration does not exist.",
            ),
            ConfigurationError::OtherId => Failure::sender(
                "IdMismatch",
                400,
                "Document ID does not match the specified configuration ID.",
            ),
            ConfigurationError::FarLogBucket(region) => Failure::sender(
                "CrossLocationLoggingProhibitted",
                403,
                "Cross S3 location logging not allowed. ",
            )
            .with("TargetBucketLocation", region),
            ConfigurationError::BadId => Failure::sender(
                "InvalidConfigurationId",
                400,
                "The specified configuration id is invalid.",
            ),
            ConfigurationError::BadDestination => {
                Failure::sender("InvalidS3DestinationBucket", 400, "Invalid bucket ARN.")
            }
            ConfigurationError::TooMany => Failure::sender(
                "TooManyConfigurations",
                400,
                "You are attempting to create a new configuration but have already reached the 1,000-configuration \
                 limit.",
            ),
            ConfigurationError::NoLogBucket(bucket) => Failure::sender(
                "InvalidTargetBucketForLogging",
                400,
                "The target bucket for logging does not exist",
            )
            .with("TargetBucket", bucket),
            ConfigurationError::Destinations(wrong) => {
                let message = "Unable to validate the following destination configurations";
                let mut failure = Failure::sender("InvalidArgument", 400, message);
                for ((arn, why), (name, value)) in wrong.into_iter().zip(NUMBERED) {
                    failure = failure.with(name, arn).with(value, why);
                }
                failure
            }
            ConfigurationError::Policy(error) => {
                Failure::sender("MalformedPolicy", 400, error.to_string())
            }
            ConfigurationError::PolicyTooLarge => Failure::sender(
                "PolicyTooLarge",
                400,
                "Normalized policy document exceeds the maximum allowed size of 20480 bytes.",
            ),
            ConfigurationError::PublicPolicy(bucket) => Failure::sender(
                "AccessDenied",
                403,
                format!(
                    "You are not authorized to perform: s3:PutBucketPolicy on resource: \"arn:aws:s3:::{bucket}\" \
                     because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access."
                ),
            ),
            ConfigurationError::CorsMethod(method) => Failure::sender(
                "InvalidRequest",
                400,
                format!(
                    "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
                ),
            ),
        }
    }
}
