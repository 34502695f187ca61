//! The form and REST protocols as bytes: against botocore, against damage, and the routes of S3.

mod golden;
mod hostile;
mod probe;
mod router;
mod support;
