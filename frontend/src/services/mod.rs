//! One folder a service. A service touches its own key spaces only.

mod dynamodb;
pub(crate) mod fuzzing;
mod s3;
mod sqs;
mod sts;

use crate::service::Service;

/// All services, by the names that `--services` and `--persist` take.
pub(crate) const NAMES: &[&str] = &["dynamodb", "s3", "sqs", "sts"];

/// All services with their handlers.
pub(crate) fn all() -> Vec<Service> {
    vec![
        dynamodb::service(),
        s3::service(),
        sqs::service(),
        sts::service(),
    ]
}
