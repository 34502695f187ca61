//! AWS shapes at run time: schemas, one codec a protocol, one validator.
