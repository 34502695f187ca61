//! One folder a service. A service touches its own key spaces only.

mod dynamodb;
mod dynamodbstreams;
pub(crate) mod fuzzing;
pub(crate) mod s3;
pub(crate) mod sqs;
mod sts;

use crate::{service::Service, tables::TableVisitor};
use cumulog_engine::View;

/// All services, by the names that `--services` and `--persist` take.
pub(crate) const NAMES: &[&str] = &["dynamodb", "dynamodbstreams", "s3", "sqs", "sts"];

/// The service whose state a service shows, if it has none of its own: streams are DynamoDB's.
pub(crate) fn keeper(service: &str) -> &str {
    match service {
        "dynamodbstreams" => "dynamodb",
        other => other,
    }
}

/// All services with their handlers.
pub(crate) fn all() -> Vec<Service> {
    vec![
        dynamodb::service(),
        dynamodbstreams::service(),
        s3::service(),
        sqs::service(),
        sts::service(),
    ]
}

/// Shows every table of every service.
pub(crate) fn each_table(visitor: &impl TableVisitor) {
    dynamodb::each_table(visitor);
    s3::each_table(visitor);
    sqs::each_table(visitor);
}

/// Every reference of every service's rows to a body.
pub(crate) fn each_reference(view: &View, each: &mut s3::Reference<'_>) {
    s3::each_reference(view, each);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What no service names is kept whatever `--persist` says.
    #[test]
    fn services_name_key_spaces_of_their_own() {
        let first = |service: &str| match service {
            "s3" => 0x0100,
            "dynamodb" => 0x0200,
            "sqs" => 0x0300,
            _ => 0x0400,
        };
        let mut seen = Vec::new();
        for service in all() {
            let name = service.schema.name;
            assert!(NAMES.contains(&name), "{name}");
            let stateless = name == "sts" || keeper(name) != name;
            assert_eq!(service.spaces.is_empty(), stateless, "{name}");
            for space in service.spaces {
                assert!(space.name.starts_with(name), "{}", space.name);
                assert_eq!(space.id & !0xff, first(name), "{}", space.name);
                assert!(!seen.contains(&space.id), "{} twice", space.name);
                seen.push(space.id);
            }
        }
    }
}
