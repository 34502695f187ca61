//! AWS request and answer types, generated from botocore's service models.
