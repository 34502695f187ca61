//! A write-ahead log with ordered key spaces, transactions and crash recovery.

pub mod disk;
